import type { Exchange } from "../../../http/server/exchange.ts";
import {
  compileMatchers,
  type LabelsTest,
  type Matcher,
  matchesEmpty,
  parseMatcher,
  preparePatterns,
} from "../../alerts/index.ts";
import { orRefused, type Refusable } from "./replies.ts";

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

  /** The matchers of all `filter` parameters, and their test. */
  filter(): Promise<Refusable<{ readonly matchers: readonly Matcher[]; readonly test: LabelsTest }>> {
    return orRefused("", async () => {
      const matchers = this.#parameters.getAll("filter").map(parseMatcher);
      return { matchers, test: compileMatchers(matchers, await preparePatterns(matchers)) };
    });
  }

  /** The test of a receiver's name. */
  async receiver(): Promise<Refusable<(name: string) => boolean>> {
    const value = this.#parameters.get("receiver") ?? "";
    if (value === "") return { value: () => true };
    const matcher: Matcher = { name: "receiver", operator: "=~", value };
    return orRefused("failed to parse receiver param: ", async () => (await preparePatterns([matcher]))(value));
  }
}

/** Whether receivers pass `receiver_matchers`: policies have no labels, so all of them do, or none. */
export async function receiverLabels(exchange: Exchange): Promise<Refusable<boolean>> {
  const given = new URLSearchParams(exchange.queryText).getAll("receiver_matchers");
  return orRefused("failed to parse receiver_matchers param: ", async () => {
    const matchers = given.map(parseMatcher);
    await preparePatterns(matchers);
    return matchesEmpty(matchers);
  });
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
export async function alertQuery(exchange: Exchange): Promise<Refusable<AlertQuery>> {
  const query = new QueryParameters(exchange);
  const filter = await query.filter();
  if ("refusal" in filter) return filter;
  const receiver = await query.receiver();
  if ("refusal" in receiver) return receiver;
  const labels = await receiverLabels(exchange);
  if ("refusal" in labels) return labels;
  const [active, silenced, inhibited, muted] = ["active", "silenced", "inhibited", "muted"].map((name) =>
    query.flag(name),
  );
  return {
    value: {
      active: active === true,
      silenced: silenced === true,
      inhibited: inhibited === true,
      muted: muted === true,
      matches: filter.value.test,
      isReceiver: labels.value ? receiver.value : () => false,
    },
  };
}
