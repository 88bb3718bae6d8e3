import "./uws-limits.ts";
import uWS from "uWebSockets.js";

// Undocumented, and pinned by a test: without it every answer has a `uWebSockets` header.
(uWS as unknown as { _cfg(option: "silent"): void })._cfg("silent");

export { uWS };
