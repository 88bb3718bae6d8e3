import type { Exchange } from "../../../http/exchange.ts";
import type { Reply } from "../../../http/route.ts";
import { compileMatchers, type LabelsTest, type Matcher, parseMatcher, patternTest } from "../../alerts/index.ts";
import { orRefused } from "./replies.ts";

// As go-openapi reads booleans: anything that is not true is false.
const TRUE = /^(?:true|1|yes|ok|y|on|selected|checked|t|enabled)$/i;

/** The query of a request. Parameters may repeat, and unknown ones are ignored. */
export class QueryParameters {
  readonly #parameters: URLSearchParams;

  constructor({ queryText }: Exchange) {
    this.#parameters = new URLSearchParams(queryText);
  }

  /** Default: true. The last value wins. */
  flag(name: string): boolean {
    const value = this.#parameters.getAll(name).at(-1) ?? "";
    return value === "" || TRUE.test(value);
  }

  /** The matchers of all `filter` parameters. */
  filter(): { readonly value: readonly Matcher[] } | { readonly refusal: Reply<unknown> } {
    return orRefused("", () =>
      this.#parameters.getAll("filter").map((text) => {
        const matcher = parseMatcher(text);
        compileMatchers([matcher]);
        return matcher;
      }),
    );
  }

  /** The test of a receiver's name. */
  receiver(): { readonly value: (name: string) => boolean } | { readonly refusal: Reply<unknown> } {
    const pattern = this.#parameters.get("receiver") ?? "";
    if (pattern === "") return { value: () => true };
    return orRefused("failed to parse receiver param: ", () => patternTest(pattern));
  }
}

export interface AlertQuery {
  readonly active: boolean;
  readonly silenced: boolean;
  readonly inhibited: boolean;
  readonly muted: boolean;
  readonly matches: LabelsTest;
  readonly isReceiver: (name: string) => boolean;
}

/** The query of alerts and groups. `unprocessed` has no effect, as in Alertmanager. */
export function alertQuery(exchange: Exchange): { readonly value: AlertQuery } | { readonly refusal: Reply<unknown> } {
  const query = new QueryParameters(exchange);
  const filter = query.filter();
  if ("refusal" in filter) return filter;
  const receiver = query.receiver();
  if ("refusal" in receiver) return receiver;
  const [active, silenced, inhibited, muted] = ["active", "silenced", "inhibited", "muted"].map((name) =>
    query.flag(name),
  );
  return {
    value: {
      active: active === true,
      silenced: silenced === true,
      inhibited: inhibited === true,
      muted: muted === true,
      matches: compileMatchers(filter.value),
      isReceiver: receiver.value,
    },
  };
}
