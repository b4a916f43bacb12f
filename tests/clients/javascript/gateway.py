"""A gateway within the process of the client: it greets at once, and says what the program lets it say."""

from __future__ import annotations

from tests.clients.javascript.package import ENTRY

GATEWAY = f"""
import {{ Client }} from "{ENTRY}";

const sockets = [];
class Socket {{
  constructor(url, protocols) {{
    Object.assign(this, {{ url, protocols, said: [], ended: false }});
    sockets.push(this);
    queueMicrotask(() => {{
      if (this.ended) return;
      this.onopen?.();
      this.says({{
        type: "connection_established", user_id: "42", server_time: new Date().toISOString(),
        channels: {{ "user:42": {{ offset: 3, epoch: "e", ...(url.includes("wait") && {{ recovered: true }}) }} }},
      }});
    }});
  }}
  send(text) {{ this.said.push(JSON.parse(text)); }}
  close(code) {{ this.ended = true; }}
  says(frame) {{ this.onmessage?.({{ data: JSON.stringify(frame) }}); }}
  ends(code, reason) {{ this.ended = true; this.onclose?.({{ code, reason }}); }}
}}
const told = [];
const made = (options = {{}}) => {{
  const client = new Client("ws://gateway/ws", {{ token: () => "t", WebSocket: Socket, ...options }});
  client.onState(({{ state }}) => told.push(state));
  client.onRecovered(({{ channel }}) => told.push(channel));
  client.on("*", ({{ type }}) => told.push(type));
  client.onError((error) => told.push(error.code ?? error.message));
  return client;
}};
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
"""
