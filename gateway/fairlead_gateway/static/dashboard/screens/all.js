// Every screen: what it is called, the key that goes there, and the part that shows it.

import { Alerts } from "./alerts.js";
import { Configuration } from "./configuration.js";
import { Connections } from "./connections.js";
import { History } from "./history.js";
import { Instances } from "./instances.js";
import { Live } from "./live.js";
import { Overview } from "./overview.js";
import { Playground } from "./playground.js";
import { Questions } from "./questions.js";
import { Replicas } from "./replicas.js";
import { Sessions } from "./sessions.js";
import { Tasks } from "./tasks.js";
import { Users } from "./users.js";

/** @type {Record<string, { title: string, key: string, part: unknown }>} */
export const SCREENS = {
  overview: { title: "Overview", key: "o", part: Overview },
  replicas: { title: "Replicas", key: "r", part: Replicas },
  connections: { title: "Connections", key: "c", part: Connections },
  users: { title: "Users", key: "u", part: Users },
  sessions: { title: "Sessions", key: "s", part: Sessions },
  instances: { title: "Instances", key: "i", part: Instances },
  live: { title: "Live", key: "l", part: Live },
  tasks: { title: "Tasks", key: "k", part: Tasks },
  questions: { title: "Questions", key: "q", part: Questions },
  alerts: { title: "Alerts", key: "a", part: Alerts },
  history: { title: "History", key: "h", part: History },
  playground: { title: "Playground", key: "g", part: Playground },
  configuration: { title: "Configuration", key: "n", part: Configuration },
};

/** In what order and under what headings they can be gone to. */
export const GROUPS = {
  Fleet: ["overview", "replicas", "connections", "users", "sessions", "instances"],
  Traffic: ["live", "tasks", "questions"],
  Record: ["alerts", "history"],
  Tools: ["playground", "configuration"],
};
