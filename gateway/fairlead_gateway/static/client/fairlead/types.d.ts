/** Types of what is inside; for whoever uses the client there is fairlead.d.ts. */

import type { Codec, FairleadError, Options, Question, Recovery, RequestOptions, StateChange } from "../fairlead.js";

export type Frame = any;

/** Options with what holds for those that were not given. */
export type Given = Options & {
  openTimeoutMs: number;
  replyTimeoutMs: number;
  backoffMinMs: number;
  backoffMaxMs: number;
  pongTimeoutMs: number;
  autoAck: boolean;
  WebSocket: any;
};

/** What a socket tells whoever opened it. */
export interface Hearer {
  opened(): void;
  heard(frame: Frame): void;
  closed(code: number, reason: string): void;
  failed(error: unknown): void;
}

/** What a line tells whoever uses it, and asks it. */
export interface Owner {
  /** The fields of `connect`; null where there is nothing to come back to (O3). */
  hello(): object | null;
  /** Before it is told that the line is open. */
  greeted(greeting: Frame): void;
  /** After that. */
  settled(greeting: Frame): void;
  heard(frame: Frame): void;
  /** What was said may not have been heard. */
  lost(): void;
  stopped(error: FairleadError): void;
  changed(change: StateChange): void;
  seen(way: "in" | "out", frame: Frame): void;
  failed(error: Error): void;
  /** By the gateway's clock. */
  now(): number;
}

export type After = (ms: number, then: () => void) => () => void;

/** What the channels tell whoever hears them, and ask it. */
export interface Seated {
  ask(action: string, fields: Frame, options?: RequestOptions): Promise<Frame>;
  after: After;
  told(recovery: Recovery): void;
  /** Let go of the connection, and come back. */
  again(): void;
}

/** A request that waits to be sent, or for its answer. */
export interface Request {
  frame: Frame;
  repeatable: boolean;
  isSent: boolean;
  deadline: number;
  late(): void;
  fail(error: Error): void;
  end(): void;
  resolve(reply: Frame): void;
}

/** What keeps up with a channel. */
export interface Mirror {
  /** False for what is not to be shown. */
  hear(frame: Frame): boolean;
  recovered?(recovery: Recovery): void;
  stopped?(error: Error): void;
}

/** A question that is open. */
export interface Open {
  question: Question;
  /** One for each handler it was shown by. */
  shown: Set<AbortController>;
  isAnswered: boolean;
  /** How it has ended while an answer was under way. */
  ending?: import("../fairlead.js").Closed;
}

export type { Codec };
