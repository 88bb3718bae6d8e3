import type { Lab } from "./lab.ts";
import type { SideName } from "./recorder.ts";

/*
 * What both Alertmanager and Prism are put through, at the same time and with one configuration. Each scenario has
 * its own value of the label `scenario`, a route and receiver of this name, and webhooks at paths of this name.
 */

/** Something that one of them posts and the other does not. */
export interface Difference {
  readonly side: SideName;
  /** An entry of a body, such as `a resolved`. */
  readonly pair: string;
  /** Only beside versions of Alertmanager before this one. */
  readonly before?: string;
  readonly reason: string;
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** Members of its route, beside the matcher and the receiver. */
  readonly route?: Readonly<Record<string, unknown>>;
  /** Routes in place of the one with its name. */
  readonly routes?: readonly object[];
  /** Members of its webhooks, one for each; default: one without any. */
  readonly webhooks?: readonly object[];
  /** Receivers beside the one with its name; their webhooks have the path `<id>/<name>`. */
  readonly receivers?: readonly string[];
  readonly inhibitRules?: readonly object[];
  readonly differences?: readonly Difference[];
  /** Entries that may appear if a look falls between two requests of one phase. */
  readonly passing?: readonly string[];
  /** Equal posts follow each other. */
  readonly repeats?: boolean;
  play(lab: Lab): Promise<void>;
}

/*
 * Differences that no single scenario has; docs/alertmanager.md lists them with those of the scenarios.
 *
 *   times are in UTC with milliseconds         they are compared as instants
 *   `match_re` in group keys                   as it is written; Alertmanager writes `^(?:…)$`
 *   `timedOut: true` of entries                Alertmanager cannot tell that a sender fell silent
 *   a post more or less within a phase         alerts that join are notified at once if the last look is long ago;
 *                                              and a look of one side may fall between two requests
 */

/** Members that Prism's bodies have as Alertmanager has since these versions. */
export const MEMBERS_SINCE: Readonly<Record<string, string>> = { notification_reason: "0.32", routeLabels: "0.34" };

const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/** 25 hours apart, so that no day is today in both. */
const [EAST, WEST] = ["Pacific/Kiritimati", "Pacific/Pago_Pago"];

/** Today and tomorrow in a zone, so that a midnight during the test changes nothing. */
function daysIn(zone: string): string[] {
  const name = new Intl.DateTimeFormat("en", { weekday: "long", timeZone: zone }).format(new Date()).toLowerCase();
  const today = DAYS.indexOf(name);
  return [name, DAYS[(today + 1) % 7] as string];
}

export const TIME_INTERVALS = [
  { name: "always", time_intervals: [{ times: [{ start_time: "00:00", end_time: "24:00" }] }] },
  { name: "past", time_intervals: [{ years: ["2000:2001"] }] },
  { name: "days-east", time_intervals: [{ weekdays: daysIn(EAST), location: EAST }] },
  { name: "days-west", time_intervals: [{ weekdays: daysIn(EAST), location: WEST }] },
];

export const of = (id: string, ...more: readonly string[]): string[] => [`scenario="${id}"`, ...more];
