/** The client of Fairlead for browsers and Node: `import { Client } from "./fairlead.js"`. */

export { Client, Client as default } from "./fairlead/client.js";
export { FairleadError } from "./fairlead/errors.js";
export { Instance } from "./fairlead/instances.js";
export { Session } from "./fairlead/sessions.js";
export { Task } from "./fairlead/tasks.js";
