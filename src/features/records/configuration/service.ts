import { currentCaller, type PermissionHolder, runAs } from "../../../core/caller.ts";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError, STATUS_OF } from "../../../core/errors.ts";
import { eachWithin } from "../../../core/promises.ts";
import { DAY_MS, toRfc3339 } from "../../../core/time/clock.ts";
import type { Issued, ObjectOwner } from "../../../module/config-kind.ts";
import type { Trx } from "../../../store/database.ts";
import { userNames } from "../../access/index.ts";
import { finalShiftsOf, onCallDifference } from "../../oncall/index.ts";
import { appliedSpec, type Compared, compare, MAX_CHANGES, type Step, secretMissing } from "./compare.ts";
import { historyOf } from "./history.ts";
import { lastChange } from "./managed.ts";
import { type ManagedRow, managedRows, storeManaged } from "./managed-objects.ts";
import { detailsOf } from "./names.ts";
import { openIncidentsOf } from "./open-incidents.ts";
import { NOTHING_PAGES, type PlannedState, pagingPart, readPlannedState } from "./planned-state.ts";
import {
  type ConfigurationContext,
  fileOf,
  type Listed,
  lackedRight,
  listAgain,
  listKey,
  problemOf,
  type ReadRequest,
  readRequest,
  refusedBy,
  stateOf,
  storedAs,
} from "./reading.ts";
import type { ConfigurationPlan, ConfigurationRequest, Drift } from "./schema.ts";
import { deadWays, turnsOf } from "./warnings.ts";

/** For the hosts of all objects together. */
const RESOLVE = { atOnce: 6, limitMs: 10_000 } as const;
/** Reading and comparing one object takes about as long as so many steps of a condition. */
const STEPS_PER_OBJECT = 4000;

/** Ends the transaction of a plan, which is an apply that is rolled back. */
class RolledBack extends Error {
  override readonly name = "RolledBack";
}

/** How a directory of the server is applied, whose plan nobody reads. */
interface ApplyOptions {
  /** Objects that may be changed by hand now stay as they are. */
  readonly keepsUnlocked?: boolean;
  readonly maxChanges?: number;
  /** Stores more in the transaction that changes something. @param answer has what cannot be found out later */
  readonly alongside?: ((trx: Trx, answer: ConfigurationPlan) => Promise<void> | void) | undefined;
}

/**
 * What an apply changes. With `plan` nothing is stored: the same transaction is rolled back.
 * @throws CONFIGURATION_REFUSED with every problem that was found, for an apply
 */
export async function configure(
  context: ConfigurationContext,
  caller: PermissionHolder,
  request: ConfigurationRequest,
  { keepsUnlocked = false, maxChanges = MAX_CHANGES, alongside }: ApplyOptions = {},
): Promise<ConfigurationPlan> {
  // Only the directory passes this option.
  if (!keepsUnlocked) requireOtherSource(context, request);
  currentCaller().pay?.({ steps: request.objects.length * STEPS_PER_OBJECT });
  const rows = await managedRows(context.db.read);
  const { source = "files" } = request;
  const owned = rows.filter((row) => row.source === source);
  const read = await readRequest(context, caller, request.objects, owned);
  const { reading, warnings, kept } = turnsOf(read, request.keepNow === true);
  const now = context.clock.now();
  const unlocked = keepsUnlocked ? owned.filter(({ unlockedUntil }) => (unlockedUntil ?? 0) > now) : [];
  const compared = compare(reading, rows, request, unlocked);
  const mayNot = lackingRights(reading, compared, request);
  const made = new Set(reading.planned.projects.values());
  const state = stateOf([...reading.lists.values()].filter(({ projectId }) => !made.has(projectId ?? "")));
  const { problems } = reading;
  if (request.expect !== undefined && request.expect !== state)
    problems.push({
      ...NOWHERE,
      code: "CHANGED_SINCE",
      message: "what is stored has changed since the plan: plan again",
    });
  if (compared.steps.length > maxChanges)
    problems.push({
      ...NOWHERE,
      code: "LIMIT_REACHED",
      message: `${compared.steps.length} changes; one apply has at most ${maxChanges}: apply project by project`,
    });
  const isApply = request.mode === "apply";
  if (isApply)
    for (const each of mayNot)
      problems.push({ ...NOWHERE, ...each, code: "UNAUTHORIZED_ROLE", message: `you lack ${each.right}` });
  // Who may not apply it learns who would be paged, and nothing of hosts or secrets.
  const part = mayNot.length > 0 ? pagingPart(reading, compared) : { reading, compared };
  const prepared = problems.length === 0 ? await prepareAll(part.reading, part.compared, request) : null;
  const isRun = prepared !== null && part.reading.problems.length === 0;
  const touched = touchedLists(reading, part.compared);
  const counts = countsOf(compared);
  const store = (trx: Trx, { issued }: Done) =>
    alongside?.(trx, { ...NO_CHANGES, state, isApplied: true, counts, unchanged: compared.unchanged, issued });
  const done =
    isRun && part.compared.steps.length > 0
      ? await run(context, { ...part, touched, prepared, request, counts, store, state: stateOf(touched) })
      : blank();
  if (isRun && part.compared.steps.length === 0 && compared.steps.length > 0) done.planned = NOTHING_PAGES;
  if (isApply && problems.length > 0) throw refusedBy(problems);
  const forecast = done.planned && { caller, reading, compared, state: done.planned };
  return {
    state,
    isApplied: isApply,
    changes: compared.steps.map((step) => changeView(reading, step, done.notes.get(step) ?? [])),
    counts,
    unchanged: compared.unchanged,
    leftOver: compared.leftOver.map(({ kind, name, projectId, place }) => ({
      kind,
      name,
      project: slugOf(reading, projectId),
      at: place,
    })),
    drift: await driftViews(context, caller, reading, compared),
    problems,
    mayNot,
    onCall: done.onCall,
    issued: done.issued,
    warnings: [...warnings, ...done.warnings],
    kept: [...kept],
    open: forecast ? await openIncidentsOf(context, reading, compared, forecast.state) : [],
    history:
      forecast && request.historyMs !== undefined
        ? await historyOf(context, { ...forecast, forMs: request.historyMs })
        : null,
  };
}

const NO_CHANGES = {
  ...{ changes: [], leftOver: [], drift: [], problems: [], mayNot: [], onCall: [] },
  ...{ warnings: [], kept: [], open: [], history: null },
};
const NOWHERE = { kind: "", project: null, name: "", at: null, path: "" };

/** A plan is what a pull request shows. @throws CONFIGURATION_REFUSED for the source of the directory of the server */
function requireOtherSource(
  { config, configurationDirectory }: ConfigurationContext,
  { mode, source = "files" }: ConfigurationRequest,
): void {
  if (mode === "plan" || configurationDirectory === null || source !== config.configuration.source) return;
  const message = `${source} is the source of the directory that the server reads: change its files, or name another source`;
  throw refusedBy([{ ...NOWHERE, code: "OWNED_ELSEWHERE", message }]);
}

function slugOf({ slugs }: ReadRequest, projectId: string | null): string | null {
  return projectId === null ? null : (slugs.get(projectId) ?? projectId);
}

/** An apply ends the lock of an object, or sets it for good: an unlock for a while does not allow it. */
function lackingRights(reading: ReadRequest, { steps }: Compared, { lock = false }: ConfigurationRequest) {
  const lacking = new Map<string, { readonly kind: string; readonly project: string | null; readonly right: string }>();
  for (const { kind, projectId, stored, row } of steps) {
    const isLock = lock || row?.isLocked === 1;
    const right = lackedRight(reading.access, { caller: reading.caller, projectId }, kind, { stored, isLock });
    if (right === undefined) continue;
    const project = slugOf(reading, projectId);
    lacking.set(`${listKey(kind.kind, projectId)} ${right}`, { kind: kind.kind, project, right });
  }
  return [...lacking.values()];
}

function touchedLists({ lists }: ReadRequest, { steps }: Compared): Listed[] {
  const keys = new Set(steps.map(({ kind, projectId }) => listKey(kind.kind, projectId)));
  return [...lists].flatMap(([key, list]) => (keys.has(key) ? [list] : []));
}

type Prepared = ReadonlyMap<Step, unknown>;

/** Resolves hosts and compiles conditions, outside of the transaction. */
async function prepareAll(reading: ReadRequest, { steps }: Compared, request: ConfigurationRequest): Promise<Prepared> {
  const prepared = new Map<Step, unknown>();
  await eachWithin(RESOLVE, steps, async (step) => {
    const { kind, wanted, spec, stored, id, op } = step;
    if (!wanted) return;
    if (op === "create" && request.mode === "apply") {
      const missing = secretMissing(wanted, request.secrets ?? {});
      if (missing) reading.problems.push(missing);
      const isIssued = kind.issues !== undefined && wanted.references.size === 0 && request.issued !== true;
      if (isIssued)
        reading.problems.push(
          problemOf(wanted.given, wanted.name, {
            path: "",
            code: "WOULD_ISSUE",
            message: `would get ${kind.issues}, which is shown only once: allow it with --issued FILE, or give it by reference`,
          }),
        );
    }
    try {
      const done = await kind.prepare?.(ownerOf(reading, step, request), spec, stored?.isImplicit ? null : stored, id);
      prepared.set(step, done);
    } catch (error) {
      refuse(reading, step, error);
    }
  });
  return prepared;
}

function ownerOf(
  { caller, wanted }: ReadRequest,
  { projectId }: Step,
  { invite: invites = false }: ConfigurationRequest,
): ObjectOwner {
  const planned = (kind: string) =>
    wanted.filter((each) => each.kind.kind === kind && each.projectId === projectId).map(({ spec }) => spec);
  return { caller, projectId, planned, invites };
}

function refuse({ problems }: ReadRequest, { wanted, name, kind, row }: Step, error: unknown): void {
  // A problem of the server is none of the files.
  if (!(error instanceof PrismError) || STATUS_OF[error.code] >= 500) throw error;
  const given = wanted?.given ?? { kind: kind.kind, at: row?.place ?? undefined, spec: {} };
  problems.push(...detailsOf(error).map((detail) => problemOf(given, name, detail)));
}

interface Run {
  readonly reading: ReadRequest;
  readonly compared: Compared;
  readonly touched: readonly Listed[];
  readonly prepared: Prepared;
  readonly request: ConfigurationRequest;
  readonly counts: ConfigurationPlan["counts"];
  store(trx: Trx, done: Done): Promise<void> | void;
  /** Of the touched lists, as they were compared. */
  readonly state: string;
}

interface Done {
  readonly issued: ConfigurationPlan["issued"][number][];
  readonly onCall: ConfigurationPlan["onCall"][number][];
  readonly notes: Map<Step, readonly string[]>;
  readonly warnings: ConfigurationPlan["warnings"][number][];
  /** What a plan would leave, to look at once it is rolled back. */
  planned?: PlannedState;
}

function blank(): Done {
  return { issued: [], onCall: [], notes: new Map(), warnings: [] };
}

async function run(context: ConfigurationContext, work: Run): Promise<Done> {
  const { reading, request } = work;
  const done = blank();
  currentCaller().charge?.({ rows: work.compared.steps.length });
  const { source = "files" } = request;
  const change = () =>
    context.db.write(async (trx) => {
      const isLockedSince = work.compared.steps.some(
        ({ kind, id, row }) => context.managedObjects.isLocked(kind.kind, id) !== (row?.isLocked === 1),
      );
      if (isLockedSince || stateOf(await listAgain(trx, work.touched, reading)) !== work.state)
        reading.problems.push({
          ...NOWHERE,
          code: "CHANGED_SINCE",
          message: "someone else changes the same objects: try again",
        });
      else {
        await runSteps(trx, work, done);
        done.onCall.push(...(await onCallChanges(context, trx, work)));
        if (request.mode === "plan" && reading.problems.length === 0) {
          done.warnings.push(...(await deadWays(trx, reading, work.compared)));
          done.planned = await readPlannedState(trx, reading, work.compared);
        }
      }
      if (request.mode === "plan" || reading.problems.length > 0) throw new RolledBack();
      await own(context, trx, work);
      await work.store(trx, done);
    });
  try {
    // The rows of the audit trail that the bodies of kinds record name the source, too.
    await runAs({ ...currentCaller(), audited: { source } }, change);
  } catch (error) {
    const isRolledBack = error instanceof RolledBack || (error instanceof Error && error.cause instanceof RolledBack);
    if (!isRolledBack) throw error;
    done.issued.length = 0;
  }
  return done;
}

async function runSteps(trx: Trx, { reading, compared, prepared, request }: Run, done: Done) {
  const order = orderOf(reading);
  const changed = compared.steps.filter(({ op }) => op !== "delete").sort((a, b) => order(a) - order(b));
  const removed = compared.steps.filter(({ op }) => op === "delete").sort((a, b) => order(b) - order(a));
  for (const step of [...changed, ...removed]) {
    const { kind, stored, spec, op, id, name } = step;
    const owner = ownerOf(reading, step, request);
    if (op === "update" && step.members.length === 0) {
      done.notes.set(step, [request.lock ? "is locked" : "is locked no longer"]);
      continue;
    }
    try {
      const notes = await kind.notes?.(trx, op === "delete" ? "delete" : op === "create" ? "create" : "update", stored);
      if (notes) done.notes.set(step, notes);
      if (op === "delete") {
        if (stored) await kind.remove?.(trx, owner, stored);
        continue;
      }
      const isMade = stored === null || stored.isImplicit;
      if (!isMade && step.isOwnOnly) continue;
      const issued: Issued | undefined = isMade
        ? await kind.create(trx, owner, id, spec, prepared.get(step))
        : await kind.update(trx, owner, stored, spec, prepared.get(step));
      if (issued && Object.keys(issued).length > 0)
        done.issued.push({ ...viewOf(reading, step), values: { ...issued } });
    } catch (error) {
      refuse(reading, { ...step, name }, error);
      // Each problem of a plan is one of its files: what follows from it would only repeat it.
      if (reading.problems.length >= 20) return;
    }
  }
}

/** How far ahead a plan says who is on call. */
const AHEAD_MS = 28 * DAY_MS;

/** Who is on call differently on changed schedules, in the transaction that has changed them. */
async function onCallChanges(context: ConfigurationContext, trx: Trx, { reading, compared }: Run) {
  const from = context.clock.now();
  const span = { from, to: from + AHEAD_MS };
  const parts = { users: reading.access.users, clock: context.clock };
  const found: ConfigurationPlan["onCall"][number][] = [];
  for (const { kind, op, id, name, projectId, members } of compared.steps) {
    if (kind.kind !== "oncall" || op === "create" || reading.problems.length > 0) continue;
    // The other members say nothing of who is on call.
    if (op !== "delete" && !members.some(({ path }) => /^(shifts|timezone|calendarUrl)\b/.test(path))) continue;
    const before = await finalShiftsOf(parts, context.db.read, id, span);
    const differences = onCallDifference(before, await finalShiftsOf(parts, trx, id, span));
    const ids = differences.flatMap((each) => [...each.before, ...each.after]);
    const names = await userNames(trx, [...new Set(ids)]);
    const namesOf = (users: readonly string[]) => users.map((user) => names.get(user)?.username ?? user);
    for (const each of differences)
      found.push({
        ...{ project: slugOf(reading, projectId) ?? "", schedule: name },
        ...{ from: toRfc3339(each.from), to: toRfc3339(each.to) },
        ...{ before: namesOf(each.before), after: namesOf(each.after) },
      });
  }
  return found;
}

/** The place of a kind: after those that it names. */
function orderOf({ kinds }: ReadRequest): (step: Step) => number {
  const places = new Map<string, number>();
  const place = (name: string): number => {
    const known = places.get(name);
    if (known !== undefined) return known;
    places.set(name, 0);
    const after = kinds.filter(({ kind }) => kind === name).flatMap((kind) => kind.after);
    const found = 1 + Math.max(0, ...after.map(place));
    places.set(name, found);
    return found;
  };
  return ({ kind }) => place(kind.kind);
}

/** Notes what the files own from now on, in the same transaction. */
async function own(context: ConfigurationContext, trx: Trx, { reading, compared, touched, request, counts }: Run) {
  const { source = "files", lock = false } = request;
  const now = context.clock.now();
  const lists = new Map(
    (await listAgain(trx, touched, reading)).map((list) => [listKey(list.kind.kind, list.projectId), list]),
  );
  const stored: ManagedRow[] = [];
  for (const { kind, projectId, name, wanted } of compared.steps) {
    if (!wanted) continue;
    const found = storedAs(lists, kind, projectId, [name]);
    if (!found) continue;
    reading.names.add(kind.kind, projectId, name, found.id);
    const spec = appliedSpec(fileOf(kind, found.spec, reading.names, projectId), wanted.references);
    const place = wanted.given.at ?? null;
    const about = { kind: kind.kind, objectId: found.id, projectId, name, source, place, spec };
    stored.push({
      ...about,
      version: String(found.version),
      isLocked: lock ? 1 : 0,
      unlockedUntil: null,
      appliedAt: now,
    });
  }
  const removed = compared.steps.flatMap(({ op, row }) => (op === "delete" && row ? [row] : []));
  await storeManaged(trx, stored, [...removed, ...compared.gone]);
  const metadata = { ...counts, digest: digestOf(request.objects) };
  const entry = { action: "configuration.apply", resourceType: "configuration", metadata };
  await context.audit.record(entry, { trx });
}

function countsOf({ steps }: Compared): ConfigurationPlan["counts"] {
  const counts = { created: 0, changed: 0, deleted: 0 };
  for (const { op } of steps) counts[op === "create" ? "created" : op === "delete" ? "deleted" : "changed"]++;
  return counts;
}

/** The same for the same objects, wherever they stand in the files. Secrets are references in it. */
function digestOf(objects: ConfigurationRequest["objects"]): string {
  const texts = objects.map(({ kind, project, spec, renamedFrom }) =>
    JSON.stringify([kind, project, spec, renamedFrom]),
  );
  return sha256Hex(texts.sort().join("\n"));
}

function viewOf(reading: ReadRequest, { kind, projectId, name, wanted, row }: Step) {
  return { kind: kind.kind, project: slugOf(reading, projectId), name, at: wanted?.given.at ?? row?.place ?? null };
}

function changeView(reading: ReadRequest, step: Step, notes: readonly string[]) {
  return { ...viewOf(reading, step), op: step.op, noun: step.kind.noun, members: [...step.members], notes: [...notes] };
}

/** Who changed what by hand: names only for those who may read the audit trail. */
async function driftViews(
  context: ConfigurationContext,
  caller: PermissionHolder,
  reading: ReadRequest,
  { drifted }: Compared,
) {
  const views: Drift[] = [];
  for (const { row, wanted, paths } of drifted) {
    const last = await lastChange(context.db.read, row, wanted.kind);
    const by = caller.permissions.has("audit:read") ? (last?.username ?? null) : null;
    const { kind, name, projectId, place } = row;
    const when = last ? toRfc3339(last.timestamp) : null;
    views.push({
      kind,
      name,
      project: slugOf(reading, projectId),
      at: wanted.given.at ?? place,
      by,
      when,
      paths: [...paths],
    });
  }
  return views;
}
