import * as v from "valibot";
import { isTimezone } from "../../core/time/clock.ts";
import { doc, example, integer, named, object, pageEntries, refersTo, text, uuid } from "../../http/api/shapes.ts";
import { parseMatcher } from "../alerts/index.ts";
import { noticeState, StatusNotice } from "./notice.ts";
import { STATES } from "./state.ts";

const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project; default: the default project"),
);
const line = (max: number, min = 1) => text(max, min);

function isMatcher(value: string): boolean {
  try {
    parseMatcher(value);
    return true;
  } catch {
    return false;
  }
}

const EFFECTS = ["degraded", "partial", "outage"] as const;

const Source = object({
  heartbeats: v.optional(
    doc(v.pipe(v.array(refersTo("heartbeats", uuid)), v.maxLength(100)), "Ids: while one of them is down"),
  ),
  tag: v.optional(doc(text(100, 1), "While a heartbeat with this tag is down")),
  matchers: v.optional(
    doc(
      v.pipe(
        v.array(v.pipe(text(1000, 1), v.check(isMatcher, 'must be a matcher such as team="db"'))),
        v.minLength(1),
        v.maxLength(20),
      ),
      "While an alert fires that all of these match",
    ),
  ),
  effect: doc(v.picklist(EFFECTS), "The component's state meanwhile"),
});

const componentEntries = {
  name: doc(line(100), "Public"),
  description: v.optional(doc(line(300, 0), "Public")),
  sources: v.optional(
    doc(
      v.pipe(
        v.array(
          v.pipe(
            Source,
            v.check(
              ({ heartbeats, tag, matchers }) =>
                [heartbeats, tag, matchers].filter((each) => each !== undefined).length === 1,
              "needs one of heartbeats, tag, matchers",
            ),
          ),
        ),
        v.maxLength(20),
      ),
      "What decides its state; none: it is always operational",
    ),
  ),
};

const Component = object({
  id: v.optional(doc(v.pipe(v.string(), v.regex(/^[a-z0-9]{12}$/, "must be an id of this page")), "Absent: new")),
  ...componentEntries,
});

const groupOf = <const C extends v.GenericSchema>(component: C) =>
  object({
    name: doc(line(100, 0), "Public; empty: no heading"),
    components: doc(v.pipe(v.array(component), v.maxLength(50)), "In this order"),
  });

const Group = groupOf(Component);

const groupsOf = <const G extends v.GenericSchema>(group: G) =>
  v.optional(doc(v.pipe(v.array(group), v.maxLength(20)), "Components in groups"));

const documentEntries = {
  enabled: doc(v.boolean(), "Whether the public addresses answer"),
  title: doc(line(100), "Public"),
  description: v.optional(doc(line(1000, 0), "Public")),
  timezone: v.optional(
    doc(v.pipe(v.string(), v.check(isTimezone, "must be a time zone")), "Of days and times; default UTC"),
  ),
  historyDays: v.optional(doc(integer(1, 90), "Days of history to show; default 90")),
  showIncidents: v.optional(doc(v.boolean(), "Whether past disturbances and notices are listed; default true")),
  showMaintenance: v.optional(
    doc(
      v.boolean(),
      "Whether maintenance windows are announced; of a silence only its annotation `status_page` is shown",
    ),
  ),
  subscriptions: v.optional(doc(v.boolean(), "Whether visitors may subscribe by mail; default false")),
  groups: groupsOf(Group),
};

/** In configuration files components have no ids: group and name say which one is meant. */
export const fileEntries = { ...documentEntries, groups: groupsOf(groupOf(object(componentEntries))) };

export type GivenDocument = v.InferOutput<v.StrictObjectSchema<typeof documentEntries, undefined>>;

/** A page as it is stored. */
export type PageDocument = { readonly [K in keyof GivenDocument]-?: Exclude<GivenDocument[K], undefined> };

/** Absent members have their defaults. */
export function documentOf(given: GivenDocument): PageDocument {
  return {
    enabled: given.enabled,
    title: given.title,
    description: given.description ?? "",
    timezone: given.timezone ?? "UTC",
    historyDays: given.historyDays ?? 90,
    showIncidents: given.showIncidents ?? true,
    showMaintenance: given.showMaintenance ?? true,
    subscriptions: given.subscriptions ?? false,
    groups: given.groups ?? [],
  };
}

export type PageComponent = v.InferOutput<typeof Component>;

export const StatusPageQuery = object({ projectId });
export const ListOfPage = object({ projectId, ...pageEntries() });
export type ListOfPage = v.InferOutput<typeof ListOfPage>;

export const PutStatusPage = example(object(documentEntries), {
  enabled: true,
  title: "Shop",
  description: "Availability of the shop and its checkout",
  timezone: "Europe/Berlin",
  groups: [
    {
      name: "Shop",
      components: [
        { name: "Website", sources: [{ matchers: ['service="web"'], effect: "outage" }] },
        { name: "Nightly import", sources: [{ tag: "import", effect: "degraded" }] },
      ],
    },
  ],
});

const state = v.picklist(STATES as readonly ["operational", "maintenance", "degraded", "partial", "outage"]);

/** Every member is in the answer. */
const viewEntries = {
  enabled: v.boolean(),
  title: v.string(),
  description: v.string(),
  timezone: v.string(),
  historyDays: v.number(),
  showIncidents: v.boolean(),
  showMaintenance: v.boolean(),
  subscriptions: v.boolean(),
  groups: v.array(Group),
};

/** Needs of subscriptions by mail. */
export const SUBSCRIPTION_SETTINGS = ["smtp.host", "publicUrl", "statusPages.subscriptions"] as const;

export const StatusPageView = named(
  "StatusPage",
  "The public status page of a project, as its operators see it",
  v.object({
    projectId: v.string(),
    ...viewEntries,
    url: doc(v.string(), "The public address"),
    state: doc(state, "The worst state of its components"),
    states: doc(v.record(v.string(), state), "State by component id"),
    subscribers: doc(v.object({ confirmed: v.number(), pending: v.number() }), "Numbers of subscribers"),
    canSubscribe: doc(
      v.boolean(),
      "Whether a mail server and `publicUrl` are set, and the operator allows subscriptions",
    ),
    subscriptionsLack: doc(
      v.array(v.picklist(SUBSCRIPTION_SETTINGS)),
      "Settings that are missing for `canSubscribe`; the operator sets them",
    ),
    version: doc(v.number(), "0: nothing is stored yet"),
    updatedAt: v.nullable(v.string()),
  }),
);
export type StatusPageView = v.InferOutput<typeof StatusPageView>;

const instant = (what: string) => doc(v.pipe(v.string(), v.isoTimestamp()), what);
const sends = v.optional(doc(v.boolean(), "Whether subscribers receive a mail; default true"));

export const NoticeParams = object({ id: doc(uuid, "Id of the notice") });

export const CreateNotice = () =>
  example(
    object({
      projectId,
      ...StatusNotice.forCreate,
      text: doc(text(5000, 1), "Public"),
      state: v.optional(noticeState),
      startsAt: v.optional(instant("Start; default: now")),
      endsAt: v.optional(instant("Planned end of a maintenance, which needs one")),
      notify: sends,
    }),
    {
      kind: "incident",
      title: "Payments fail",
      text: "We are looking into failed card payments.",
      state: "investigating",
    },
  );
export type CreateNotice = v.InferOutput<ReturnType<typeof CreateNotice>>;

export const UpdateNotice = () =>
  example(
    object({
      ...StatusNotice.forUpdate,
      startsAt: v.optional(instant("Start")),
      endsAt: v.optional(instant("Planned end of a maintenance")),
      state: v.optional(noticeState),
      text: v.optional(doc(line(5000), "Adds an update; public")),
      notify: sends,
    }),
    { text: "The provider has fixed it.", state: "resolved" },
  );
export type UpdateNotice = v.InferOutput<ReturnType<typeof UpdateNotice>>;

export const SubscriberParams = object({ id: doc(uuid, "Id of the subscriber") });
