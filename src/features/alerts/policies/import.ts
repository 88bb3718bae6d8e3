import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { type ErrorDetail, invalidField, PrismError } from "../../../core/errors.ts";
import { doc, example, named, object, text, uuid } from "../../../http/api/shapes.ts";
import { type AppliedSpec, applySpecs, type GivenSpec, requireNone } from "../../../module/apply-specs.ts";
import type { ConfigKind, Spec, StoredObject } from "../../../module/config-kind.ts";
import { definitionEntries } from "./policy.ts";
import { checkedRouting, RoutingDocument } from "./routing.ts";
import type * as s from "./service.ts";

/* Channels, policies and routes of a project in one transaction: all are stored, or none. */

const MAX_ITEMS = 500;
const MAX_FIELD = 16_384;
/** Limit of all policies together: they are stored in one transaction. */
const MAX_STEPS = 500;

const field = v.union([text(MAX_FIELD), v.number()], "must be a string or a number");
const flag = v.boolean();

const Channel = object({
  ref: doc(uuid, "Any UUID: the `id` of this channel in the steps of `policies`"),
  name: doc(text(100, 1), "Name; a channel of the project with this name is changed"),
  preset: doc(text(40, 1), "Name of the preset"),
  fields: doc(v.record(v.string(), field), "All values of the preset's fields"),
  sendResolved: v.optional(doc(flag, "As of a channel; default true")),
  eventTypes: v.optional(
    doc(v.array(text(200, 1)), 'As of a channel; default ["*"]. A channel that exists keeps its own'),
  ),
});
type ImportedChannel = v.InferOutput<typeof Channel>;

const Policy = object({
  name: doc(text(255, 1), "Name; a policy of the project with this name is changed"),
  ...definitionEntries,
});

export const ImportAlerting = example(
  object({
    channels: v.optional(doc(v.pipe(v.array(Channel), v.maxLength(MAX_ITEMS)), "Channels of the project")),
    policies: v.optional(
      doc(v.pipe(v.array(Policy), v.maxLength(MAX_ITEMS)), "Policies; absent members keep their values"),
    ),
    routing: v.optional(doc(RoutingDocument, "The routing document; its time intervals count for the policies too")),
    replace: v.optional(doc(flag, "Whether what exists may change; default false: INVALID_STATE")),
    dryRun: v.optional(doc(flag, "Check everything and store nothing")),
  }),
  {
    policies: [{ name: "Database", steps: [{ type: "notify", members: true }] }],
    routing: { route: { policy: "Database" } },
    dryRun: true,
  },
);
type Input = v.InferOutput<typeof ImportAlerting>;

const outcome = v.picklist(["created", "updated", "unchanged"]);

export const ImportedAlerting = named(
  "ImportedAlerting",
  "What an import stored, or would store",
  v.object({
    dryRun: v.boolean(),
    channels: v.array(v.object({ ref: v.string(), id: v.string(), name: v.string(), preset: v.string(), outcome })),
    policies: v.array(v.object({ name: v.string(), outcome })),
    routing: doc(v.nullable(outcome), "Null without a routing document"),
  }),
);
type Report = v.InferOutput<typeof ImportedAlerting>;

export interface ImportContext extends s.PolicyContext {
  configKinds(overlay: object): Promise<readonly ConfigKind[]>;
}

/** @throws VALIDATION_FAILED with every problem that was found, INVALID_STATE, PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function importAlerting(
  context: ImportContext,
  principal: PermissionHolder,
  ref: string | undefined,
  { channels = [], policies: given = [], routing, replace = false, dryRun = false }: Input,
): Promise<Report> {
  const { projects, db } = context;
  const projectId = projects.requireOrDefault(principal, ref, "policies:write");
  if (channels.length > 0) projects.require(principal, projectId, "channels:write");
  const document = routing && checkedRouting(routing);
  requireFewSteps(given);
  const { policies, problems } = withUsers(context, projectId, given);
  requireNone([...problems, ...repeatedNames(channels)]);
  const kinds = await context.configKinds({});
  const kindOf = (name: string) => kinds.find(({ kind }) => kind === name) as ConfigKind;
  const specs = [
    ...channels.map((channel, at) => channelSpec(kindOf("channels"), channel, at)),
    ...policies.map((policy, at) => policySpec(kindOf("policies"), policy, at, channels)),
    ...(document ? [{ kind: kindOf("routes"), name: "routes", path: "routing", spec: () => ({ ...document }) }] : []),
  ];
  const reportOf = (applied: readonly AppliedSpec[]): Report => ({
    dryRun,
    channels: channels.map((channel, at) => ({ ref: channel.ref, preset: channel.preset, ...partOf(applied, at) })),
    policies: policies.map(({ name }, at) => ({ name, outcome: partOf(applied, channels.length + at).outcome })),
    routing: document ? partOf(applied, specs.length - 1).outcome : null,
  });
  const check = (applied: readonly AppliedSpec[]) => {
    if (!replace) requireNew(reportOf(applied));
  };
  return reportOf(await applySpecs(db, { caller: principal, projectId }, specs, { dryRun, check }));
}

const partOf = (applied: readonly AppliedSpec[], at: number) => applied[at] as AppliedSpec;

/** Without the fields that the import does not have. */
function channelSpec(kind: ConfigKind, { ref: _, fields, ...members }: ImportedChannel, at: number): GivenSpec {
  const spec = (stored: StoredObject | null): Spec => {
    const texts = Object.entries(fields).map(([key, value]) => [key, String(value)]);
    const dropped = Object.keys(stored?.secrets ?? {}).flatMap((path) => {
      const key = path.replace(/^fields\./, "");
      return stored?.secrets?.[path] === "" || Object.hasOwn(fields, key) ? [] : [[key, null]];
    });
    const { eventTypes, ...others } = members;
    return {
      ...others,
      ...(stored === null && eventTypes !== undefined && { eventTypes }),
      fields: Object.fromEntries([...texts, ...dropped]),
    };
  };
  return { kind, name: members.name, path: `channels.${at}`, spec };
}

function policySpec(
  kind: ConfigKind,
  { steps, ...members }: PolicyInput,
  at: number,
  channels: readonly ImportedChannel[],
): GivenSpec {
  const spec: GivenSpec["spec"] = (_stored, idOf) => {
    const idOfChannel = (ref: string): string => {
      const found = channels.findIndex((each) => each.ref === ref);
      return (found < 0 ? undefined : idOf(`channels.${found}`)) ?? ref;
    };
    return { ...members, ...(steps && { steps: steps.map((step) => withIds(step, idOfChannel)) }) };
  };
  return { kind, name: members.name, path: `policies.${at}`, spec };
}

type PolicyInput = NonNullable<Input["policies"]>[number];
type StepInput = NonNullable<PolicyInput["steps"]>[number];

function withIds(step: StepInput, idOf: (ref: string) => string): StepInput {
  if (step.type === "channel") return { ...step, id: idOf(step.id) };
  if (step.type === "webhook" && step.channel !== undefined) return { ...step, channel: idOf(step.channel) };
  return step;
}

function repeatedNames(channels: readonly ImportedChannel[]): ErrorDetail[] {
  return channels.flatMap(({ name }, at) =>
    channels.findIndex((each) => each.name === name) < at
      ? [{ path: `channels.${at}.name`, code: "NAME_TAKEN", message: "is the name of another channel too" }]
      : [],
  );
}

/** The policies with the ids of their users; every unknown one is a problem. */
function withUsers({ users }: ImportContext, projectId: string, given: readonly PolicyInput[]) {
  const problems: ErrorDetail[] = [];
  const idOf = (ref: string, path: string): string[] => {
    try {
      return [users.existingOne(ref, projectId, path)];
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      problems.push(...(error.details ?? []));
      return [];
    }
  };
  const policies = given.map((policy, at): PolicyInput => {
    const found = policy.steps?.map((step, index): StepInput => {
      if (step.type !== "notify" || !step.users) return step;
      const path = `policies.${at}.steps.${index}.users`;
      return { ...step, users: [...new Set(step.users.flatMap((ref, n) => idOf(ref, `${path}.${n}`)))] };
    });
    return found ? { ...policy, steps: found } : policy;
  });
  return { policies, problems };
}

function requireFewSteps(policies: readonly PolicyInput[]): void {
  const steps = policies.reduce((sum, each) => sum + (each.steps?.length ?? 0), 0);
  if (steps <= MAX_STEPS) return;
  const message = `the policies have ${steps} steps, and one import may have ${MAX_STEPS}: import them in parts`;
  throw invalidField("import", "policies", message);
}

/** Without `replace` only new things are stored. */
function requireNew({ channels, policies, routing }: Report): void {
  const changed = [
    ...(routing === "updated" ? ["the routes"] : []),
    ...policies.flatMap(({ name, outcome: done }) => (done === "updated" ? [`the policy ${name}`] : [])),
    ...channels.flatMap(({ name, outcome: done }) => (done === "updated" ? [`the channel ${name}`] : [])),
  ];
  if (changed.length > 0)
    throw new PrismError("INVALID_STATE", `This would change ${changed.join(", ")}: replace must be true`);
}
