import type { Exchange } from "../../../http/exchange.ts";
import type { ClientInfo } from "./sessions.ts";

/** What a session remembers of the client that opened it. @param device how the client calls itself, in place of its user agent. */
export function clientOf(exchange: Exchange, device?: string): ClientInfo {
  return { ip: exchange.clientAddress, userAgent: device ?? exchange.header("user-agent") };
}
