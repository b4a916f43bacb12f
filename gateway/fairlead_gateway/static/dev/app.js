// Two seats in one session, each on its own replica: the smallest honest client of the gateway.

import { clone, small } from "./pieces.js";
import { Questions } from "./questions.js";
import { Tasks } from "./tasks.js";

const PEOPLE = ["ada", "ben"];
const SESSION = "lobby";
const PING_EVERY_MS = 5000;
const SHOWN_FRAMES = 60;
const SHOWN_SAYINGS = 200;
const TYPING_MS = 2500;

const short = (id) => (id && id.length > 13 ? `${id.slice(0, 4)}…${id.slice(-8)}` : id ?? "");

/** What a close code asks of us: the hundreds digit says it (40 stop, 41 later, 42 now, 44 credentials). */
function afterClose(code, reason, attempt) {
  const backoff = Math.random() * Math.min(20_000, 500 * 2 ** attempt);
  if (code === 4401) return { wait: backoff, renew: true };
  if ((code >= 4000 && code < 4100) || code === 4403) return { stop: true };
  if (code >= 4200 && code < 4300) return { wait: Number(/\d+/.exec(reason)?.[0] ?? 0) };
  return { wait: backoff };
}

/** A token for one of the two, and the addresses of the replicas. */
async function invite(user) {
  const answer = await fetch("demo/invitations", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user }),
  });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? `no invitation: ${answer.status}`);
  return answer.json();
}

class Seat {
  constructor(index) {
    this.index = index;
    this.user = PEOPLE[index];
    this.session = SESSION;
    this.token = "";
    this.attempt = 0;
    this.counter = 0;
    this.waiting = new Map(); // action id -> what to do with its reply
    this.positions = new Map(); // durable channel -> the last message seen: offset, epoch, id
    this.element = clone("seat");
    this.element.setAttribute("aria-label", this.user);
    this.part("h2").textContent = this.user;
    this.part(".face").textContent = this.user[0];
    this.questions = new Questions(this.part(".questions"), this.client());
    this.tasks = new Tasks(this.part(".tasks"), this.client());
    this.part(".say input").placeholder = `Say something as ${this.user}`;
    this.part(".say").addEventListener("submit", (event) => this.onSay(event));
    this.part(".say input").addEventListener("input", () => this.onTyping());
    this.part(".enter").addEventListener("submit", (event) => this.onEnter(event));
    document.getElementById("seats").append(this.element);
    setInterval(() => this.ping(), PING_EVERY_MS);
  }

  part(selector) {
    return this.element.querySelector(selector);
  }

  /** What questions and tasks need of us. */
  client() {
    const seat = this;
    return {
      get user() {
        return seat.user;
      },
      send: (action, onReply) => this.send(action, onReply),
      stand: (channel, told) => this.stand(channel, told),
      leave: (channel) => this.positions.delete(channel),
      tell: (text) => this.event(text),
      focus: () => this.part(".questions button:enabled, .say input").focus(),
    };
  }

  fact(name, value) {
    const place = this.part(`[data-fact="${name}"]`);
    place.textContent = value;
    place.title = value;
  }

  // -- connecting ------------------------------------------------------------------------------

  async start() {
    this.show("connecting", "connecting");
    try {
      if (!this.token) {
        const { token, sockets } = await invite(this.user);
        this.token = token;
        this.base = sockets[this.index % sockets.length];
      }
      this.connect();
    } catch (error) {
      this.event(error.message);
      this.again({ wait: 2000 });
    }
  }

  connect() {
    const wait = this.positions.size ? "?wait=connect" : "";
    const url = `${this.base}/ws/chat/session/${encodeURIComponent(this.session)}${wait}`;
    const socket = new WebSocket(url, ["fairlead.v1.json", `bearer.${this.token}`]);
    this.socket = socket;
    this.part(".enter [name=session]").value = this.session;
    this.part(".enter [name=token]").value = this.token;
    socket.onopen = () => wait && this.send({ action: "connect", recover: Object.fromEntries(this.positions) });
    socket.onmessage = ({ data }) => this.socket === socket && this.onFrame(data);
    socket.onclose = ({ code, reason }) => this.socket === socket && this.onClose(code, reason);
  }

  onClose(code, reason) {
    const next = afterClose(code, reason, this.attempt++);
    for (const settle of this.waiting.values()) settle({ type: "error", message: "connection lost" });
    this.waiting.clear();
    this.fact("trip", "");
    if (reason) this.event(`closed ${code}: ${reason}`);
    if (next.stop) return this.show("stopped", `stopped: ${code}`);
    if (next.renew) this.token = "";
    this.again(next);
  }

  again({ wait }) {
    this.show("connecting", `back in ${(wait / 1000).toFixed(1)} s`);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.start(), wait);
  }

  show(state, text) {
    const place = this.part(".state");
    place.className = `state ${state}`;
    place.textContent = text;
    this.part(".say button").disabled = state !== "open";
    this.questions.enable(state === "open");
    document.querySelector(`[data-stop="${this.index}"]`).classList.toggle("up", state === "open");
  }

  // -- speaking --------------------------------------------------------------------------------

  send(action, onReply) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const frame = { ...action };
    if (onReply) {
      frame.id = String(++this.counter);
      this.waiting.set(frame.id, onReply);
    }
    const text = JSON.stringify(frame);
    this.socket.send(text);
    this.frame("out", text);
  }

  /** What is open for whoever comes back, and what it is about. */
  open(confirms) {
    this.questions.keep(confirms);
    for (const { task_id: task } of confirms) this.tasks.watch(task);
  }

  ping() {
    const started = performance.now();
    this.send({ action: "ping" }, () => this.fact("trip", `${(performance.now() - started).toFixed(1)} ms`));
  }

  onSay(event) {
    event.preventDefault();
    const input = this.part(".say input");
    const line = this.say("mine waiting", input.value);
    pulse(this.index, "out");
    this.send({ action: "message", session_id: this.session, content: input.value }, (reply) => {
      line.classList.remove("waiting");
      line.classList.toggle("failed", reply.type === "error");
      if (reply.type === "error") line.append(small(reply.message));
    });
    input.value = "";
    this.stopTyping();
  }

  onTyping() {
    if (!this.typingTimer) this.send({ action: "typing", session_id: this.session, is_typing: true });
    clearTimeout(this.typingTimer);
    this.typingTimer = setTimeout(() => this.stopTyping(), TYPING_MS);
  }

  stopTyping() {
    if (!this.typingTimer) return;
    clearTimeout(this.typingTimer);
    this.typingTimer = undefined;
    this.send({ action: "typing", session_id: this.session, is_typing: false });
  }

  onEnter(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    this.token = form.get("token").trim();
    this.session = form.get("session").trim();
    this.attempt = 0;
    this.positions.clear();
    const old = this.socket;
    this.socket = undefined;
    old?.close(1000);
    this.start();
  }

  // -- hearing ---------------------------------------------------------------------------------

  onFrame(text) {
    this.frame("in", text);
    const frame = JSON.parse(text);
    const settle = this.waiting.get(frame.ref);
    if (settle) {
      this.waiting.delete(frame.ref);
      return settle(frame);
    }
    if (frame.requires_ack) this.send({ action: "ack", channel: frame.channel, message_ids: [frame.id] });
    if (this.hasSeen(frame) || frame.attempt) return;
    (HEARD[frame.type] ?? heardOther)(this, frame);
  }

  /** The offset check: whether a durable message was heard before; if not, its place is ours now. */
  hasSeen({ channel, offset, id }) {
    const position = this.positions.get(channel);
    if (!position || !offset) return false;
    if (offset <= position.offset) return true;
    Object.assign(position, { offset, id });
    return false;
  }

  /** Where a channel stands, as the server says; what was missed comes behind it. */
  stand(channel, { offset, epoch, recovered }) {
    const position = this.positions.get(channel);
    if (!epoch) return;
    if (recovered && position) position.epoch = epoch;
    else this.positions.set(channel, { offset, epoch });
    if (recovered === false) this.event(`what was missed in ${channel} is gone`);
    else if (recovered && offset > position.offset) this.event(`${offset - position.offset} missed in ${channel}`);
  }

  say(kind, text, note) {
    const line = document.createElement("li");
    line.className = kind;
    line.textContent = text;
    if (note) line.append(small(note));
    const list = this.part(".said");
    list.append(line);
    while (list.childElementCount > SHOWN_SAYINGS) list.firstElementChild.remove();
    list.scrollTop = list.scrollHeight;
    return line;
  }

  event(text) {
    this.say("event", text);
  }

  frame(way, text) {
    const line = document.createElement("li");
    line.className = way;
    line.textContent = text;
    const list = this.part(".frames");
    list.append(line);
    while (list.childElementCount > SHOWN_FRAMES) list.firstElementChild.remove();
    list.scrollTop = list.scrollHeight;
  }
}

/** What each kind of push does to a seat. */
const HEARD = {
  connection_established(seat, frame) {
    seat.attempt = 0;
    seat.show("open", "connected");
    seat.user = frame.user_id;
    seat.part("h2").textContent = frame.user_id;
    seat.fact("replica", frame.replica);
    seat.fact("connection", short(frame.connection_id));
    seat.fact("session", frame.session_id ?? "");
    for (const [channel, told] of Object.entries(frame.channels)) seat.stand(channel, told);
    document.querySelector(`[data-stop="${seat.index}"]`).textContent = frame.replica.replace(/-[0-9a-f]{8}$/, "");
    seat.ping();
    seat.send({ action: "list_confirms" }, ({ confirms = [] }) => seat.open(confirms));
  },
  task_step_result(seat, frame) {
    seat.questions.show(frame);
    seat.tasks.watch(frame.task_id);
    pulse(seat.index, "in");
  },
  confirm_closed(seat, frame) {
    seat.questions.close(frame);
    pulse(seat.index, "in");
  },
  task_update(seat, frame) {
    seat.tasks.update(frame);
    pulse(seat.index, "in");
  },
  task_stalled(seat, frame) {
    seat.tasks.stall(frame);
  },
  task_cancelled(seat, frame) {
    seat.tasks.end(frame.task_id, `task ${frame.task_id} was cancelled by ${frame.user_id}`);
  },
  new_message(seat, frame) {
    const text = typeof frame.content === "string" ? frame.content : JSON.stringify(frame.content);
    seat.part(".typing").textContent = "";
    seat.say("theirs", text, [frame.from, frame.offset && `offset ${frame.offset}`].filter(Boolean).join(" · "));
    pulse(seat.index, "in");
  },
  typing(seat, frame) {
    seat.part(".typing").textContent = frame.is_typing ? `${frame.user_id} is typing…` : "";
  },
  session_joined(seat, frame) {
    seat.event(frame.user_id === seat.user ? `you joined ${frame.session_id}` : `${frame.user_id} joined`);
  },
  session_left(seat, frame) {
    seat.event(`${frame.user_id} left`);
  },
  user_status_update(seat, frame) {
    seat.event(`${frame.user_id} is ${frame.status}`);
  },
  epoch_changed(seat, frame) {
    seat.stand(frame.channel, frame);
  },
  skipped() {}, // a message that was not for us has its place all the same
  error(seat, frame) {
    seat.event(`${frame.code}: ${frame.message}`);
  },
};

function heardOther(seat, frame) {
  const { type, content, from, channel } = frame;
  seat.say("theirs", content === undefined ? type : `${type}: ${typeof content === "string" ? content : JSON.stringify(content)}`, [from, channel].filter(Boolean).join(" · "));
  pulse(seat.index, "in");
}

/** A message on its way between a replica and Redis. */
function pulse(index, way) {
  const dot = document.querySelector(`[data-pulse="${index}"]`);
  const rightwards = (index === 0) === (way === "out");
  dot.classList.remove("there", "back");
  void dot.offsetWidth; // restarts the animation
  dot.classList.add(rightwards ? "there" : "back");
}

for (const seat of PEOPLE.map((_, index) => new Seat(index))) seat.start();
