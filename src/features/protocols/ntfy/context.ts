import type { Exchange } from "../../../http/server/exchange.ts";
import type { Context } from "../../../module/feature.ts";
import type { Visitor } from "./auth.ts";
import { parametersOf, requireTopics } from "./parameters.ts";
import { parseSince } from "./subscribe/positions.ts";
import type { Request } from "./subscribe/subscriber.ts";
import { filterOf, scopeOf } from "./subscribe/views.ts";

/** Needs of the routes and sockets of ntfy. */
export type NtfyContext = Context<"ntfy" | "projects" | "principals" | "users">;

export const PREFIX = "/ntfy";
const MAX_SCHEDULED = 1000;

/** Needs of every subscriber. */
export function subscriberParts({ ntfy, hub, connections, clock, log }: NtfyContext) {
  const { topics, auth, open } = ntfy;
  return { hub, connections, clock, log: log.namespace("ntfy"), topics, auth, open };
}

/** Counts a request by its caller or address. @throws RATE_LIMITED */
export function countVisitor({ kernel }: NtfyContext, exchange: Exchange, { principal }: Visitor): void {
  if (principal) kernel.limitPrincipal(exchange, principal);
  else kernel.limitAddress(exchange);
}

/** Reads the request of a subscriber. @throws NtfyError 40007, 40008, 40009, 40301 */
export function requestOf(
  { ntfy, clock, hub }: NtfyContext,
  exchange: Exchange,
  visitor: Visitor,
  address: string,
): Request {
  const parameters = parametersOf(exchange);
  const list = exchange.params["topics"] ?? exchange.params["topic"] ?? "";
  const topics = ntfy.topics.requireReadable(requireTopics(list), visitor.principal);
  const { isPoll, withScheduled } = scopeOf(parameters);
  const since = parseSince(parameters("since"), isPoll, clock.now());
  const legs = topics.map((topic) => {
    const view = ntfy.viewOf(topic);
    return { topic, from: ntfy.positions.of(since, topic, hub.head(view.stream)), view };
  });
  const names = topics.filter(({ kind }) => kind === "messages").map(({ name }) => name);
  const scheduled = withScheduled ? ntfy.positions.scheduled(names, MAX_SCHEDULED) : [];
  return { visitor, address, list, legs, filter: filterOf(parameters), isPoll, scheduled };
}
