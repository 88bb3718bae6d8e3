import { redactText } from "../../config/logger.ts";
import type { PermissionHolder } from "../../core/caller.ts";
import type { Finding } from "../../core/finding.ts";
import { countText } from "../../core/text/clean-text.ts";
import { MINUTE_MS } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import type { FeatureFindings } from "../../module/findings.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import type { CircuitFacts } from "./circuits.ts";
import { namesOfTargets, openByChannel } from "./operate/queries.ts";
import { type FailingWay, failingWays } from "./pages/failing-ways.ts";

/** A ready page is attempted within this time. */
const ATTEMPTED_WITHIN_MS = MINUTE_MS;
const LISTED_WAYS = 10;
/** Paused targets of a channel that are listed one by one. */
const LISTED_TARGETS = 3;
const CHANNEL_NAMES: Readonly<Record<OutsideChannel, string>> = {
  email: "Mail",
  webhook: "Webhook",
  service: "Channel",
  fcm: "Push by FCM",
  apns: "Push by APNs",
  webpush: "Push to browsers",
  pusher: "Pusher",
};

type Parts = Uses<"db" | "clock" | "pages" | "circuits" | "projects">;

/** Ways of incidents and channels that accept nothing. */
export const deliveryFindings: FeatureFindings<Parts> = {
  known: ({ pages, circuits, clock }) => [
    ...pages.troubles
      .filter(({ isFailed }) => isFailed)
      .map(({ target, sinceMs }) => failedWay(target, "a way", Math.floor(clock.now() - sinceMs))),
    ...circuits.paused().map(({ facts }) => pausedTarget(facts)),
  ],
  shownTo: async (parts, caller) => [...(await wayFindings(parts, caller)), ...(await channelFindings(parts, caller))],
  lastResort: { "page-not-attempted": unattemptedPage },
};

function unattemptedPage({ pages, clock }: Parts): Finding | null {
  const waitedMs = pages.longestUnattemptedMs;
  if (waitedMs < ATTEMPTED_WITHIN_MS) return null;
  const text = "A page is ready and was not attempted for over a minute.";
  const since = Math.round(clock.now() - waitedMs);
  return { code: "page-not-attempted", severity: "critical", pages: "last resort", text, since };
}

function failedWay(target: string, name: string, since: number): Finding {
  const text = `Incidents do not reach the ${name}`;
  return { code: "ways", severity: "critical", subject: target, text, since };
}

/** Those of projects that the caller does not see are counted. */
async function wayFindings({ db, pages, clock, projects }: Parts, caller: PermissionHolder): Promise<Finding[]> {
  const reader = { userId: caller.userId, projectIds: projects.readable(caller, "project:read") };
  const ways = (await failingWays(pages, db.scan, clock, reader)).filter(({ isFailed }) => isFailed);
  const listed = ways.filter(({ isHidden }) => !isHidden).slice(0, LISTED_WAYS);
  const others = ways.filter((way) => !listed.includes(way));
  return [...listed.map(shownWay), ...(others.length === 0 ? [] : [moreWays(others)])];
}

const WAY_LINKS = { delivery: "/deliveries?state=waiting", channel: "/connect", webhook: "/incidents" } as const;

function shownWay({ target, name, kind, since, waiting, error }: FailingWay): Finding {
  return {
    ...failedWay(target, name, since),
    shown: {
      ...{ kind: "way", key: `way:${target}`, link: WAY_LINKS[kind] },
      detail: [redactText(error), countText(waiting, "page waits", "pages wait")].join(" · "),
      ids: [name],
      counts: { waiting },
    },
  };
}

function moreWays(ways: readonly FailingWay[]): Finding {
  const seen = ways.filter(({ isHidden }) => !isHidden);
  return {
    ...{ code: "ways", severity: "critical" },
    text: `Incidents do not reach ${countText(ways.length, "other target")}`,
    shown: {
      ...{ kind: "way", key: "ways", link: "/incidents" },
      detail: seen
        .slice(0, LISTED_WAYS)
        .map(({ name }) => name)
        .join(", "),
      counts: { ways: ways.length, waiting: ways.reduce((sum, { waiting }) => sum + waiting, 0) },
    },
  };
}

async function channelFindings({ db, circuits, projects }: Parts, caller: PermissionHolder): Promise<Finding[]> {
  const all = circuits.paused().map(({ facts }) => facts);
  // The circuit of a host says nothing more than that of its targets.
  const isNamed = new Set(all.flatMap(({ channel, target }) => (isHost(target) ? [] : [channel])));
  const paused = all.filter(({ channel, target }) => !isHost(target) || !isNamed.has(channel));
  if (paused.length === 0) return [];
  const waiting = await openByChannel(db.scan);
  const names = await namesOfTargets(
    db.scan,
    paused.map(({ target }) => target),
    { userId: caller.userId, projectIds: projects.readable(caller, "project:read") },
  );
  const channels = [...new Set(paused.map(({ channel }) => channel))];
  return channels.flatMap((channel) => {
    const of = paused.filter((each) => each.channel === channel);
    const count = waiting.get(channel) ?? 0;
    return of.length <= LISTED_TARGETS
      ? of.map((each) => shownTarget(each, names.get(each.target), count))
      : [manyPaused(channel, of, names, count)];
  });
}

function isHost(target: string): boolean {
  return target.startsWith("host ");
}

/** @param known name of the target for people */
function pausedTarget({ channel, target, lastFailureAt }: CircuitFacts, known = target): Finding {
  const name = CHANNEL_NAMES[channel];
  return {
    ...{ code: "providers paused", severity: "warning", subject: `${channel} ${target}`, since: lastFailureAt },
    text: `${target === "" ? name : `${name} ${known}`} is paused`,
    entries: {
      key: `provider ${channel}`,
      began: ["provider.paused", { channel }],
      ended: ["provider.resumed", { channel }],
    },
  };
}

function shownTarget(facts: CircuitFacts, known: string | undefined, waiting: number): Finding {
  const { channel, target, lastError, pausedUntil } = facts;
  return {
    ...pausedTarget(facts, known),
    shown: {
      ...{ kind: "channel", key: `channel:${channel}:${target}` },
      detail: [redactText(lastError ?? "Its calls failed"), waitText(waiting)].join(" · "),
      link: `/deliveries?channel=${channel}&state=waiting`,
      ids: [channel, ...(target === "" ? [] : [target])],
      counts: { waiting },
      until: pausedUntil,
    },
  };
}

function manyPaused(
  channel: OutsideChannel,
  of: readonly CircuitFacts[],
  names: ReadonlyMap<string, string>,
  waiting: number,
): Finding {
  const listed = of.flatMap(({ target }) => names.get(target) ?? []).slice(0, LISTED_TARGETS);
  const times = of.flatMap(({ pausedUntil }) => pausedUntil ?? []);
  return {
    ...{ code: "providers paused", severity: "warning", subject: channel },
    text: `${CHANNEL_NAMES[channel]}: ${of.length} targets are paused`,
    shown: {
      ...{ kind: "channel", key: `channel:${channel}` },
      detail: [...(listed.length === 0 ? [] : [`${listed.join(", ")}, …`]), waitText(waiting)].join(" · "),
      link: `/deliveries?channel=${channel}&state=waiting`,
      ids: [channel, ...of.map(({ target }) => target)].slice(0, 100),
      counts: { waiting, targets: of.length },
      until: times.length === 0 ? null : Math.min(...times),
    },
  };
}

function waitText(waiting: number): string {
  return countText(waiting, "delivery waits", "deliveries wait");
}
