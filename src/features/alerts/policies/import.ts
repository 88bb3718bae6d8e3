import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { type ErrorDetail, invalidField, MAX_ERROR_DETAILS, PrismError, STATUS_OF } from "../../../core/errors.ts";
import { eachWithin } from "../../../core/promises.ts";
import { doc, example, named, object, text, uuid } from "../../../http/api/shapes.ts";
import type { Trx } from "../../../store/database.ts";
import { managedPolicies } from "./manage.ts";
import { readReferences } from "./policies.ts";
import { completeStep, DEFAULT_POLICY, definitionEntries, storedDefinition, UNSET } from "./policy.ts";
import { checkedRouting, compileGiven, RoutingDocument } from "./routing.ts";
import { requirePolicies, storeRouting } from "./routing-service.ts";
import * as s from "./service.ts";

/* Channels, policies and routes of a project in one transaction: all are stored, or none. */

const MAX_ITEMS = 500;
const MAX_FIELD = 16_384;
/** Limit of all policies together: they are stored in one transaction. */
const MAX_STEPS = 500;
/** For the hosts of all URLs together. */
const RESOLVE = { atOnce: 6, limitMs: 10_000 } as const;

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
export type ImportedChannel = v.InferOutput<typeof Channel>;

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
export type ImportOutcome = v.InferOutput<typeof outcome>;

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

/** Stores channels in the transaction of an import. */
export interface ChannelsOfImport {
  /**
   * Checks the channels outside of a transaction: hosts are resolved. Nothing is stored.
   * @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE without `channels:write`
   */
  prepare(
    principal: PermissionHolder,
    projectId: string,
    channels: readonly ImportedChannel[],
  ): Promise<{
    readonly problems: readonly ErrorDetail[];
    /** @param isWritten false for a dry run, which is rolled back */
    store(trx: Trx, isWritten: boolean): Promise<Report["channels"]>;
  }>;
}

export interface ImportContext extends s.PolicyContext {
  readonly channels: ChannelsOfImport;
}

/** Ends the transaction of a dry run. */
class Undone extends Error {
  override readonly name = "Undone";
  readonly report: Report;

  constructor(report: Report) {
    super("nothing is stored");
    this.report = report;
  }
}

/** @throws VALIDATION_FAILED with every problem that was found, INVALID_STATE, PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function importAlerting(
  context: ImportContext,
  principal: PermissionHolder,
  ref: string | undefined,
  { channels = [], policies: given = [], routing, replace = false, dryRun = false }: Input,
): Promise<Report> {
  const { db, projects } = context;
  const projectId = projects.requireOrDefault(principal, ref, "policies:write");
  const document = routing && checkedRouting(routing);
  if (document) await compileGiven(document);
  requireFewSteps(given);
  const prepared = await context.channels.prepare(principal, projectId, channels);
  const { policies, problems } = withUsers(context, projectId, given);
  requireNone([...prepared.problems, ...problems, ...(await refusedUrls(context, given))]);
  const work = async (trx: Trx): Promise<Report> => {
    const stored = await prepared.store(trx, !dryRun);
    const ids = new Map(stored.map((each) => [each.ref, each.id]));
    const report: Report = { dryRun, channels: stored, policies: [], routing: null };
    const inputs = policies.map((policy) => ({ ...policy, steps: policy.steps?.map((step) => withIds(step, ids)) }));
    const steps = inputs.flatMap((input) => input.steps?.map(completeStep) ?? []);
    const owner = { principal, projectId, routing: document, references: await readReferences(trx, steps) };
    for (const [at, input] of inputs.entries()) {
      const done = await within(`policies.${at}`, () => storePolicy(context, trx, owner, input));
      report.policies.push({ name: input.name, outcome: done });
    }
    if (document) report.routing = await routingIn(context, trx, owner, document);
    if (!replace && !dryRun) requireNew(report);
    if (dryRun) throw new Undone(report);
    return report;
  };
  try {
    return await db.write(work);
  } catch (error) {
    const undone = error instanceof Undone ? error : error instanceof Error && error.cause;
    if (undone instanceof Undone) return undone.report;
    throw error;
  }
}

async function storePolicy(
  context: ImportContext,
  trx: Trx,
  owner: s.PolicyOwner,
  input: PolicyInput,
): Promise<ImportOutcome> {
  const { principal, projectId, ...known } = owner;
  const found = await trx
    .selectFrom("policies")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("name", "=", input.name)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  if (!found && input.name !== DEFAULT_POLICY) {
    await managedPolicies.insert(context, trx, principal, { projectId, input, ...known });
    return "created";
  }
  const before = found ? storedDefinition(found.definition) : { ...UNSET, name: DEFAULT_POLICY };
  const definition = await s.definitionFrom(context, trx, owner, input, before);
  if (found && isDeepStrictEqual(definition, before)) return "unchanged";
  await s.storeChanged(context, principal, trx, found ?? s.implicit(projectId), definition);
  return found ? "updated" : "created";
}

async function routingIn(
  context: ImportContext,
  trx: Trx,
  { principal, projectId }: s.PolicyOwner,
  document: RoutingDocument,
): Promise<ImportOutcome> {
  await within("routing", () => requirePolicies(trx, projectId, document));
  const row = await storeRouting(context, principal, trx, projectId, document);
  if (row === null) return "unchanged";
  return row.version === 1 ? "created" : "updated";
}

type PolicyInput = NonNullable<Input["policies"]>[number];
type StepInput = NonNullable<PolicyInput["steps"]>[number];

function withIds(step: StepInput, ids: ReadonlyMap<string, string>): StepInput {
  if (step.type === "channel") return { ...step, id: ids.get(step.id) ?? step.id };
  if (step.type === "webhook" && step.channel !== undefined)
    return { ...step, channel: ids.get(step.channel) ?? step.channel };
  return step;
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

/** Each host is resolved once. */
async function refusedUrls(context: ImportContext, policies: readonly PolicyInput[]): Promise<ErrorDetail[]> {
  const byOrigin = new Map<string, { readonly path: string; readonly url: string }[]>();
  for (const [at, { steps = [] }] of policies.entries())
    for (const [index, step] of steps.entries()) {
      if (step.type !== "webhook") continue;
      const each = { path: `policies.${at}.steps.${index}.url`, url: step.url };
      const origin = originOf(step.url);
      byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), each]);
    }
  const problems: ErrorDetail[][] = [];
  await eachWithin(RESOLVE, [...byOrigin.values()].entries(), async ([at, same]) => {
    try {
      if (same[0]) await context.requireUrl(same[0].url);
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      const { code, message } = error;
      problems[at] = same.map(({ path }) => ({ path, code, message }));
    }
  });
  return problems.flat();
}

/** With the user name and password: they are refused, too. */
function originOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  return parsed ? `${parsed.username}:${parsed.password}@${parsed.origin}` : url;
}

function requireFewSteps(policies: readonly PolicyInput[]): void {
  const steps = policies.reduce((sum, each) => sum + (each.steps?.length ?? 0), 0);
  if (steps <= MAX_STEPS) return;
  const message = `the policies have ${steps} steps, and one import may have ${MAX_STEPS}: import them in parts`;
  throw invalidField("import", "policies", message);
}

function requireNone(problems: readonly ErrorDetail[]): void {
  if (problems.length === 0) return;
  const details = problems.slice(0, MAX_ERROR_DETAILS);
  throw new PrismError("VALIDATION_FAILED", "The import is not valid; nothing was stored", { details });
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

/** Problems of a part with its path. */
async function within<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // A problem of the server is none of the input.
    if (!(error instanceof PrismError) || STATUS_OF[error.code] >= 500) throw error;
    const found = error.details ?? [{ path: "", code: error.code, message: error.message }];
    const details = found.map((each) => ({ ...each, path: each.path ? `${path}.${each.path}` : path }));
    throw new PrismError("VALIDATION_FAILED", "The import is not valid; nothing was stored", { details, cause: error });
  }
}
