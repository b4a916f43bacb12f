// Questions to one person: a card for each, until somebody has answered it or its time is up.

import { clone, small } from "./pieces.js";

const WITHOUT_ANSWER = { proceed: "goes on by itself", stop: "stops by itself", raise: "fails" };
const SOON_MS = 10_000;
const KEPT_OVER = 200;

/** What became of a question whose answer did not count, or of one that is over. */
const OVER = {
  answered: "was answered",
  timed_out: "was not answered in time",
  cancelled: "was taken back",
  already_answered: "was answered before",
  expired: "was not answered in time",
  unknown: "is long over",
};

export class Questions {
  /**
   * @param place where the cards go
   * @param client `user`; `send(action, onReply)`; `tell(text)`, for what became of a question; `focus()`
   */
  constructor(place, client) {
    this.place = place;
    this.client = client;
    this.cards = new Map(); // callback id -> Card
    this.over = new Set(); // callback ids of those that were closed
    this.connected = false;
    setInterval(() => this.cards.forEach((card) => card.tick()), 500);
  }

  /** Show a question; one that is shown already keeps what was written into it. */
  show(frame) {
    const id = frame.callback_id;
    if (this.over.has(id)) return;
    let card = this.cards.get(id);
    if (!card) {
      card = new Card(frame, (answer) => this.answer(card, answer));
      this.cards.set(id, card);
      this.place.append(card.element);
      card.enable(this.connected);
    }
    card.time(frame.confirm);
  }

  /** These are open, and no others: what a server says to whoever comes back. */
  keep(frames) {
    const open = new Set(frames.map((frame) => frame.callback_id));
    for (const id of this.cards.keys()) if (!open.has(id)) this.close({ callback_id: id, status: "unknown" });
    frames.forEach((frame) => this.show(frame));
  }

  close({ callback_id: id, status, by }) {
    this.over.add(id);
    if (this.over.size > KEPT_OVER) this.over.delete(this.over.values().next().value);
    const card = this.cards.get(id);
    if (!card) return;
    this.cards.delete(id);
    const focused = card.hasFocus;
    card.element.remove();
    if (focused) this.client.focus();
    const who = by && (by === this.client.user ? "by you" : `by ${by}`);
    const what = by === this.client.user && card.said ? `: ${card.said}` : "";
    this.client.tell(`“${card.message}” ${[OVER[status] ?? "is over", who].filter(Boolean).join(" ")}${what}`);
  }

  /** Nothing can be answered while the connection is lost. */
  enable(connected) {
    this.connected = connected;
    this.cards.forEach((card) => card.enable(connected));
  }

  answer(card, answer) {
    card.enable(false);
    this.client.send({ action: "confirm", callback_id: card.id, ...answer }, (ack) => {
      // What counts is closed by the server, for everybody at once.
      if (["accepted", "duplicate"].includes(ack.status)) return;
      if (OVER[ack.status]) return this.close({ callback_id: card.id, status: ack.status, by: ack.answer?.by });
      card.enable(this.connected);
      card.complain(ack.errors ?? [{ field: "", message: ack.message ?? "you may not answer this" }]);
      card.clicked.focus();
    });
  }
}

class Card {
  constructor({ callback_id: id, task_id, step, step_result, confirm }, onAnswer) {
    this.id = id;
    this.message = confirm.message || "Go on?";
    this.confirm = confirm;
    this.onAnswer = onAnswer;
    this.fields = new Map(); // name -> field of the form
    this.element = clone("question");
    this.element.classList.add(confirm.severity);
    this.element.setAttribute("aria-label", this.message);
    this.element.addEventListener("submit", (event) => event.preventDefault());
    const severity = confirm.severity === "info" ? "" : confirm.severity;
    const task = task_id && `task ${task_id}${step ? `, step ${step}` : ""}`;
    this.part(".about").textContent = [severity, task].filter(Boolean).join(" · ") || "question";
    this.part(".message").textContent = this.message;
    this.result(step_result?.result);
    for (const [name, asked] of Object.entries(confirm.schema?.properties ?? {})) this.field(name, asked);
    this.part(".feedback").hidden = confirm.feedback === "none";
    this.part(".feedback input").placeholder = WORDS[confirm.feedback] ?? "";
    for (const choice of confirm.choices) this.button(choice);
  }

  part(selector) {
    return this.element.querySelector(selector);
  }

  result(value) {
    if (value === null || value === undefined) return;
    this.part(".result").hidden = false;
    this.part(".result pre").textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  }

  field(name, asked) {
    const required = this.confirm.schema.required?.includes(name) ?? false;
    const field = new Field(name, asked, required);
    this.fields.set(name, field);
    this.part(".form").append(field.element);
  }

  button(choice) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = choice.proceed ? "go" : "stop-here";
    button.textContent = choice.label;
    button.addEventListener("click", () => this.choose(choice, button));
    this.part(".choices").append(button);
  }

  choose({ value, label, proceed }, button) {
    const words = this.part(".feedback input");
    const wanted = this.confirm.feedback;
    words.required = wanted === "required" || (wanted === "required_on_stop" && !proceed);
    this.complain([]);
    // Who stops need not fill in the form.
    if (!(proceed ? this.element.reportValidity() : words.reportValidity())) return;
    this.said = label;
    this.clicked = button;
    const answer = { proceed, choice: value };
    if (words.value) answer.feedback = words.value;
    if (proceed && this.fields.size) answer.content = this.content();
    this.onAnswer(answer);
  }

  content() {
    const written = [...this.fields].map(([name, field]) => [name, field.value]);
    return Object.fromEntries(written.filter(([, value]) => value !== undefined));
  }

  complain(errors) {
    const list = this.part(".errors");
    list.replaceChildren(
      ...errors.map(({ field, message }) => {
        const line = document.createElement("li");
        const name = field.replace(/^content\./, "");
        line.textContent = [this.fields.get(name)?.title ?? name, message].filter(Boolean).join(": ");
        return line;
      }),
    );
  }

  enable(on) {
    this.part("fieldset").disabled = !on;
  }

  /** Whether it has the keyboard's attention, or had it until the button that was pressed became disabled. */
  get hasFocus() {
    const active = document.activeElement;
    return this.element.contains(active) || (this.clicked !== undefined && active === document.body);
  }

  // -- time ------------------------------------------------------------------------------------

  /** Until when it can be answered, by the server's clock. */
  time({ created_at, expires_at, server_time }) {
    this.expires = Date.parse(expires_at);
    this.lasts = this.expires - Date.parse(created_at);
    this.ahead = Date.parse(server_time) - Date.now();
    this.tick();
  }

  tick() {
    const left = Math.max(0, this.expires - Date.now() - this.ahead);
    this.part("progress").value = left / this.lasts;
    this.part(".countdown").textContent = `${WITHOUT_ANSWER[this.confirm.on_timeout] ?? "ends"} in ${clock(left)}`;
    this.element.classList.toggle("soon", left < SOON_MS);
  }
}

const WORDS = {
  optional: "Say something with it, if you like",
  required: "Say why",
  required_on_stop: "Say why, if it is to stop",
};

function clock(ms) {
  const seconds = Math.ceil(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

const INPUTS = { email: "email", uri: "url", date: "date", "date-time": "datetime-local" };

/** One field of a form, as a flat JSON schema describes it. */
class Field {
  constructor(name, asked, required) {
    this.asked = asked;
    this.title = asked.title ?? name;
    this.input = this.control();
    this.input.required = required && asked.type !== "boolean";
    this.element = document.createElement("label");
    this.element.className = asked.type;
    const title = document.createElement("span");
    title.textContent = this.title + (required || asked.type === "boolean" ? "" : " (optional)");
    this.element.append(title, this.input);
    if (asked.description) this.element.append(small(asked.description));
  }

  control() {
    const { asked } = this;
    if (asked.enum) return this.select();
    const input = document.createElement("input");
    if (asked.type === "boolean") {
      input.type = "checkbox";
      input.checked = asked.default === true;
      return input;
    }
    if (asked.type === "string") {
      input.type = INPUTS[asked.format] ?? "text";
      if (asked.minLength) input.minLength = asked.minLength;
      if (asked.maxLength !== undefined) input.maxLength = asked.maxLength;
    } else {
      input.type = "number";
      input.step = asked.type === "integer" ? "1" : "any";
      input.min = asked.minimum ?? "";
      input.max = asked.maximum ?? "";
    }
    if (asked.default !== undefined && asked.default !== null) input.value = asked.default;
    return input;
  }

  select() {
    const select = document.createElement("select");
    const names = this.asked.enumNames ?? this.asked.enum;
    select.append(new Option("", ""), ...this.asked.enum.map((value, at) => new Option(names[at] ?? value, value)));
    select.value = this.asked.default ?? "";
    return select;
  }

  /** What was written; undefined for nothing. */
  get value() {
    if (this.asked.type === "boolean") return this.input.checked;
    if (this.input.value === "") return undefined;
    if (this.asked.type !== "string") return this.input.valueAsNumber;
    return this.input.type === "datetime-local" ? new Date(this.input.value).toISOString() : this.input.value;
  }
}
