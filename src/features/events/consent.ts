import type { Exchange } from "../../http/server/exchange.ts";

/**
 * The consent to deliveries of CloudEvents (HTTP 1.1 Web Hooks for Event Delivery, section 4): the
 * headers of the answer to OPTIONS. It is no authentication. @param ratePerMinute what is accepted
 * @returns null for a request that does not ask
 */
export function cloudEventsConsent(exchange: Exchange, ratePerMinute: number): Readonly<Record<string, string>> | null {
  const origin = exchange.header("webhook-request-origin");
  if (!/^[\w.:-]{1,253}$/.test(origin)) return null;
  const asked = exchange.header("webhook-request-rate");
  const rate = /^\d{1,9}$/.test(asked) ? Math.min(Number(asked), ratePerMinute) : ratePerMinute;
  return {
    Allow: "POST",
    "WebHook-Allowed-Origin": origin,
    ...(asked === "" ? {} : { "WebHook-Allowed-Rate": String(Math.max(1, rate)) }),
  };
}
