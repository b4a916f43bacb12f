/** The client of Fairlead for browsers and Node. How it behaves: docs/clients.md; rule ids are given where they help. */

/** Anything JSON can carry. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type State = "idle" | "connecting" | "open" | "waiting" | "stopped";

/** A change of state (S1). */
export interface StateChange {
  readonly state: State;
  /** Why it is so: the close code, 1006 for a connection that broke, 0 where there was none. */
  readonly code: number;
  /** The machine word: `drain`, `token_expired`, `no_token`, `closed`, `token_failed`, `no_greeting`, `half_open`, `lost`, `hole`, `offline` … */
  readonly word: string;
  /** What the gateway said about it, for people. */
  readonly text: string;
  /** Tries since the client was last open for five seconds. */
  readonly attempt: number;
  /** Milliseconds until the next try; 0 unless `waiting`. */
  readonly retryInMs: number;
}

/** Why a token is wanted: for a first try, because the last one was refused, or because it ends soon. */
export type TokenReason = "connect" | "refused" | "expires";

export type TokenSource = string | ((reason: TokenReason) => string | null | undefined | Promise<string | null | undefined>);

/** Where a client stands in a durable channel. */
export interface Position {
  offset: number;
  epoch: string;
  id?: string;
}

export type Positions = { [channel: string]: Position };

/** A binary codec for `fairlead.v1.msgpack`, for instance `@msgpack/msgpack`. */
export interface Codec {
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

export interface Options {
  token?: TokenSource;
  /** Sent with `connect`: this device has a stored cursor of its own. */
  deviceId?: string;
  /** From `client.positions` of an earlier page (P7). */
  positions?: Positions;
  /** Speak msgpack with this. */
  msgpack?: Codec;
  /** The class to use where there is no global one (Node 20): `import WebSocket from "ws"`. */
  WebSocket?: unknown;
  openTimeoutMs?: number;
  replyTimeoutMs?: number;
  backoffMinMs?: number;
  backoffMaxMs?: number;
  /** In place of the interval that the gateway names. */
  heartbeatMs?: number;
  /** How long after a `ping` the gateway may be silent. */
  pongTimeoutMs?: number;
  /** Whether messages are acknowledged by themselves; else by `client.ack(message)`. */
  autoAck?: boolean;
}

/** A push from the gateway. Types of the source documents have their fields at top level, others in `content`. */
export interface Message {
  readonly type: string;
  readonly id?: string;
  readonly from?: string;
  readonly to?: string;
  readonly session_id?: string;
  readonly channel?: string;
  readonly offset?: number;
  readonly content?: unknown;
  readonly timestamp?: string;
  readonly metadata?: { readonly [key: string]: unknown };
  readonly requires_ack?: boolean;
  readonly [field: string]: any;
}

/** Whether a channel is whole again (P5). */
export interface Recovery {
  readonly channel: string;
  readonly recovered: boolean;
  /** How many messages follow, as far as it is known. */
  readonly missed: number;
  /** `forbidden` where the channel is heard no more. */
  readonly code?: string;
}

export interface Reply {
  readonly type: string;
  readonly ref: string;
  readonly ok?: boolean;
  readonly [field: string]: any;
}

/** A page of what a channel has said, as far as it is kept. */
export interface Past {
  /** The oldest first, each as it is pushed, with its `offset`; without those that are not for this user. */
  readonly messages: readonly Message[];
  /** Where the channel stands. */
  readonly offset: number;
  /** Of all these offsets; "" where nothing was said. */
  readonly epoch: string;
  /** Whether older ones are kept. */
  readonly more: boolean;
  /** What to ask with for these. */
  readonly before: number;
}

export interface RequestOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Whether to say it again if the connection broke before the answer (A2). */
  repeatable?: boolean;
}

/** An answer that is an error, or none: `timeout`, `disconnected`, `closed`, `too_many`, `aborted`. */
export class FairleadError extends Error {
  readonly code: string;
  readonly detail: { readonly [key: string]: any };
}

/** Ends what it was returned by. */
export type Off = () => void;

export interface Choice {
  readonly value: string;
  readonly label: string;
  readonly proceed?: boolean;
}

/** Something this user is asked (ASK-1). */
export interface Question {
  readonly callbackId: string;
  readonly taskId: string;
  readonly step: number;
  readonly kind: "confirmation" | "choice" | "form";
  readonly message: string;
  readonly severity: string;
  readonly choices: readonly Choice[];
  /** Flat JSON schema of a form. */
  readonly schema: { readonly [key: string]: any } | null;
  readonly feedback: "none" | "optional" | "required" | "required_on_stop";
  /** What happens when nobody answers. */
  readonly onTimeout: string;
  readonly expiresAt: Date;
  /** Milliseconds that are left, by the gateway's clock. */
  remainingMs(): number;
  /** The frame it came in. */
  readonly frame: Message;
}

export interface Answer {
  proceed?: boolean;
  feedback?: string;
  choice?: string;
  content?: { [field: string]: unknown };
}

/** What became of a question: `accepted` where another handler of this client has answered it. */
export interface Closed {
  readonly status: string;
  readonly by?: string;
  readonly at?: string;
}

/**
 * Shows a question; the answer is what it returns. `signal` is aborted, with a `Closed` as its reason, when the
 * question is closed elsewhere.
 */
export type QuestionHandler = (
  question: Question,
  signal: AbortSignal,
) => Answer | boolean | null | undefined | void | Promise<Answer | boolean | null | undefined | void>;

export interface Member {
  readonly user_id: string;
  readonly connections: number;
  readonly since?: string;
  readonly [field: string]: any;
}

export class Session {
  readonly id: string;
  readonly channel: string;
  /** Come in, and stay across reconnections. */
  join(): Promise<Reply>;
  leave(): Promise<void>;
  /** Say something; the reply has its `message_id` and `offset`. Sent once, however often the connection breaks. */
  send(content: unknown, options?: { messageType?: string; metadata?: object; messageId?: string } & RequestOptions): Promise<Reply>;
  /** While somebody types: say it as often as you like (C2). */
  typing(isTyping?: boolean): void;
  read(messageId: string): Promise<Reply>;
  members(): Promise<readonly Member[]>;
  /** What was said here last, or before an offset; as `Client.history`. */
  history(options?: { limit?: number; before?: number } & RequestOptions): Promise<Past>;
  /** Messages of this session, by type or `"*"`. */
  on(type: string, handler: (message: Message) => void): Off;
}

export class Task {
  readonly id: string;
  readonly channel: string;
  /** The latest state; null before the first. */
  readonly state: Message | null;
  watch(): Promise<Reply>;
  unwatch(): Promise<void>;
  cancel(): Promise<Reply>;
  /** The task's state has changed, it has stalled, or was cancelled. */
  on(type: "task_update" | "task_stalled" | "task_cancelled" | "*", handler: (message: Message) => void): Off;
}

export interface InstanceChange {
  /** Null where the document was taken as a whole. */
  readonly patch: { readonly [path: string]: any } | null;
  readonly unset: readonly string[];
  readonly patchId?: string | number;
  readonly version: number;
  readonly document: any;
}

/** A mirror of a named document (I1). */
export class Instance {
  readonly name: string;
  readonly channel: string;
  /** A copy that is yours to read; replaced, never changed in place. */
  readonly document: any;
  readonly version: number;
  /** Begin to follow; ends when the document is here. */
  open(): Promise<void>;
  close(): Promise<void>;
  /** Change it. Fails with `conflict` where `baseVersion` is not the latest. */
  patch(
    patch: { [path: string]: unknown },
    options?: { unset?: string[]; baseVersion?: number; patchId?: string | number } & RequestOptions,
  ): Promise<Reply>;
  onChange(handler: (change: InstanceChange) => void): Off;
}

export class Client {
  /** @param url of an endpoint: `wss://example.org/ws`; in a page `/ws` will do. */
  constructor(url: string, options?: Options);

  readonly state: State;
  /** Of the current connection, else the last one; "" before the first. */
  readonly connectionId: string;
  readonly userId: string;
  readonly replica: string;
  /** A copy, for `Options.positions` (P7). */
  readonly positions: Positions;

  /** Ends when the client is open, fails with what it was stopped by (S2). Asked again, it is the same promise. */
  connect(): Promise<void>;
  close(): void;
  /** Look at once whether the connection still lives, or try at once (R3). */
  check(): void;
  /** The time by the gateway's clock. */
  now(): Date;

  /** Do an action and wait for its reply. */
  request(action: string, fields?: object, options?: RequestOptions): Promise<Reply>;
  /** Do an action without waiting: nothing is known about it, and it is not said at all unless the client is open. */
  send(action: string, fields?: object): boolean;
  /** Send a message to a user: `client.message("user:43", …)`; for sessions see `session()`. */
  message(to: string, content: unknown, options?: { messageType?: string; metadata?: object; messageId?: string } & RequestOptions): Promise<Reply>;
  ack(message: Message): Promise<Reply>;

  /** Hear channels, also after coming back. */
  subscribe(...channels: string[]): Promise<Reply>;
  unsubscribe(...channels: string[]): Promise<void>;
  presence(channel: string): Promise<readonly Member[]>;
  /** What a durable channel that is heard has said last, or before an offset; 50 messages, 100 at most (C4). */
  history(channel: string, options?: { limit?: number; before?: number } & RequestOptions): Promise<Past>;

  /** The same object for the same id, as long as the client lives. */
  session(id: string): Session;
  task(id: string): Task;
  instance(name: string): Instance;

  /** Messages of a type, or `"*"` for all, in order (M1). */
  on(type: string, handler: (message: Message) => void): Off;
  onState(handler: (change: StateChange) => void): Off;
  onRecovered(handler: (recovery: Recovery) => void): Off;
  /** What handlers and token functions threw, and errors that answer nothing. Without a handler: `console.error`. */
  onError(handler: (error: Error) => void): Off;
  /** Show questions and answer them (Q1). */
  onQuestion(handler: QuestionHandler): Off;
  /** Every frame in and out, as it is on the wire, decoded; without tokens. */
  onFrame(handler: (way: "in" | "out", frame: any) => void): Off;
}

export default Client;
