import { isDeepStrictEqual } from "node:util";
import { currentCaller, type PermissionHolder, runAs } from "../../../core/caller.ts";
import { PrismError, STATUS_OF } from "../../../core/errors.ts";
import { eachWithin } from "../../../core/promises.ts";
import { DAY_MS, toRfc3339 } from "../../../core/time/clock.ts";
import { isRolledBack, RESOLVE, RolledBack } from "../../../module/apply-specs.ts";
import type { ConfigKind, Issued, ObjectOwner, StoredObject } from "../../../module/config-kind.ts";
import type { Trx } from "../../../store/database.ts";
import { finalShiftsOf, onCallDifference } from "../../oncall/index.ts";
import {
  appliedSpec,
  type Compared,
  changedShifts,
  compare,
  countsOf,
  MAX_CHANGES,
  MAX_SHIFTS,
  MAX_SHIFTS_OF_READERS,
  type Step,
  secretsMissing,
} from "./compare.ts";
import { historyOf, namesOf } from "./history.ts";
import { type ManagedRow, managedRows, storeManaged } from "./managed-objects.ts";
import { detailsOf } from "./names.ts";
import { openIncidentsOf } from "./open-incidents.ts";
import { changedSchedules, NOTHING_PAGES, type PlannedState, pagingPart, readPlannedState } from "./planned-state.ts";
import {
  areAsListed,
  type ConfigurationContext,
  fileOf,
  type Listed,
  lackedRight,
  listKey,
  problemOf,
  type ReadRequest,
  readRequest,
  refusedBy,
  stateOf,
  storedAs,
  type Wanted,
} from "./reading.ts";
import {
  type FreshEntry,
  isLackOfRight,
  MAX_ENTRIES,
  makeEntries,
  prepareEntries,
  type RefuseEntry,
  runtimeEntries,
  runtimeView,
} from "./runtime.ts";
import type { ConfigurationPlan, ConfigurationRequest, Problem } from "./schema.ts";
import { keyedHash } from "./sealed.ts";
import { withStandIns } from "./stand-ins.ts";
import { changeView, driftViews, slugOf, viewOf } from "./views.ts";
import { deadWays, turnsOf, zoneOf } from "./warnings.ts";

/** Reading and comparing one object takes about as long as so many steps of a condition. */
const STEPS_PER_OBJECT = 4000;

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
  currentCaller().pay?.({ steps: (request.objects.length + (request.runtime?.length ?? 0)) * STEPS_PER_OBJECT });
  const rows = await managedRows(context.db.read);
  const { source = "files" } = request;
  const owned = rows.filter((row) => row.source === source);
  const read = await readRequest(context, caller, request, owned);
  const { reading, warnings, kept } = turnsOf(read, request.keepNow === true);
  const now = context.clock.now();
  const unlocked = keepsUnlocked ? owned.filter(({ unlockedUntil }) => (unlockedUntil ?? 0) > now) : [];
  const isApply = request.mode === "apply";
  const differing = await compare(reading, rows, request, unlocked);
  const compared = isApply ? differing : await withStandIns(differing, request.secrets ?? {});
  const mayNot = lackingRights(reading, compared, request);
  const made = new Set(reading.planned.projects.values());
  const state = stateOf(
    context,
    [...reading.lists.values()].filter(({ projectId }) => !made.has(projectId ?? "")),
  );
  const { problems } = reading;
  if (request.expect !== undefined && request.expect !== state)
    note(problems, "CHANGED_SINCE", "what is stored has changed since the plan: plan again");
  const requireAtMost = (count: number, most: number, what: string): void => {
    if (count > most)
      note(problems, "LIMIT_REACHED", `${count} ${what}; one apply has at most ${most}: apply project by project`);
  };
  requireAtMost(compared.steps.length, maxChanges, "changes");
  const shifts = changedShifts(compared);
  requireAtMost(shifts, MAX_SHIFTS, "shifts of changed schedules");
  const runtime = await runtimeEntries(context, reading, source);
  requireAtMost(runtime.fresh.length, MAX_ENTRIES, "new runtime entries");
  if (isApply) for (const each of mayNot) note(problems, "UNAUTHORIZED_ROLE", `you lack ${each.right}`, each);
  // Who may not apply it learns who would be paged, and nothing of hosts or secrets.
  const part = mayNot.length > 0 ? pagingPart(reading, compared) : { reading, compared };
  const isSmall = mayNot.length === 0 || shifts <= MAX_SHIFTS_OF_READERS;
  const prepared = problems.length === 0 && isSmall ? await prepareAll(part.reading, part.compared, request) : null;
  // Who may not apply the objects that they name would only learn that these are missing.
  const entries = mayNot.length > 0 ? [] : runtime.fresh;
  const refuseOne: RefuseEntry = (wanted, error) => refuseEntry(reading, isApply ? null : mayNot, wanted, error);
  if (prepared) await prepareEntries(reading, entries, refuseOne);
  const isRun = prepared !== null && part.reading.problems.length === 0;
  const touched = touchedLists(reading, part.compared);
  const counts = countsOf(compared);
  const ofRuntime = request.runtime ? runtimeView(reading, runtime) : null;
  const store = (trx: Trx, { issued }: Done) =>
    alongside?.(trx, {
      ...{ ...NO_CHANGES, state, isApplied: true, counts, unchanged: compared.unchanged, issued },
      runtime: ofRuntime,
    });
  const done =
    isRun && part.compared.steps.length + entries.length > 0
      ? await run(context, { ...part, touched, prepared, request, counts, entries, refuseOne, store })
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
    runtime: ofRuntime,
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

/** A problem of no single object. */
function note(problems: Problem[], code: string, message: string, of: Partial<Problem> = {}): void {
  problems.push({ ...{ kind: "", project: null, name: "", at: null, path: "" }, ...of, code, message });
}

/** A plan is what a pull request shows. @throws CONFIGURATION_REFUSED for the source of the directory of the server */
function requireOtherSource(
  { config, configurationDirectory }: ConfigurationContext,
  { mode, source = "files" }: ConfigurationRequest,
): void {
  if (mode === "plan" || configurationDirectory === null || source !== config.configuration.source) return;
  const message = `${source} is the source of the directory that the server reads: change its files, or name another source`;
  const problems: Problem[] = [];
  note(problems, "OWNED_ELSEWHERE", message);
  throw refusedBy(problems);
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
  const prepare = async (step: Step): Promise<void> => {
    const { kind, wanted, spec, stored, id, op } = step;
    if (!wanted) return;
    if (op === "create" && request.mode === "apply") {
      const missing = secretsMissing(wanted, request.secrets ?? {});
      reading.problems.push(...missing);
      // What its body says of them would only repeat it.
      if (missing.length > 0) return;
      reading.problems.push(...wouldIssue(wanted, request));
    }
    try {
      const before = stored?.isImplicit ? null : stored;
      prepared.set(step, await kind.prepare?.(ownerOf(reading, step, request), spec, before, id));
    } catch (error) {
      refuse(reading, step, error);
    }
  };
  await eachWithin(RESOLVE, steps, prepare, ({ kind, name }) => `${kind.noun} ${name}`);
  return prepared;
}

function wouldIssue({ kind, references, given, name }: Wanted, { issued }: ConfigurationRequest): Problem[] {
  if (kind.issues === undefined || references.size > 0 || issued === true) return [];
  const message = `would get ${kind.issues}, which is shown only once: give it by reference, or let prism apply --issued FILE make it`;
  return [problemOf(given, name, { path: "", code: "WOULD_ISSUE", message })];
}

function ownerOf(
  { caller, wanted }: ReadRequest,
  { projectId, later }: Step,
  { mode, invite: invites = false, mayPage = false }: ConfigurationRequest,
): ObjectOwner {
  const planned = (kind: string) =>
    wanted.filter((each) => each.kind.kind === kind && each.projectId === projectId).map(({ spec }) => spec);
  return {
    caller,
    projectId,
    planned,
    invites,
    mayPage: mayPage || mode === "plan",
    ...(later && { hasStandIns: true }),
  };
}

type Refused = Pick<Step, "wanted" | "name" | "kind" | "row">;

function refuse({ problems }: ReadRequest, { wanted, name, kind, row }: Refused, error: unknown): void {
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
  readonly entries: readonly FreshEntry[];
  readonly refuseOne: RefuseEntry;
  store(trx: Trx, done: Done): Promise<void> | void;
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
  currentCaller().charge?.({ rows: work.compared.steps.length + work.entries.length });
  const { source = "files" } = request;
  // Read again in the transaction they are the same: it compares what was listed.
  const before = await changedSchedules(context.db.read, work.compared);
  let after: Schedules = new Map();
  const change = () =>
    context.db.write(async (trx) => {
      const isLockedSince = work.compared.steps.some(
        ({ kind, id, row }) => context.managedObjects.isLocked(kind.kind, id) !== (row?.isLocked === 1),
      );
      if (isLockedSince || !(await areAsListed(trx, work.touched, reading)))
        note(reading.problems, "CHANGED_SINCE", "someone else changes the same objects: try again");
      else {
        await runSteps(trx, work, done);
        after = await changedSchedules(trx, work.compared);
        const isPlan = request.mode === "plan" && work.compared.steps.length > 0;
        if (isPlan && reading.problems.length === 0) {
          done.warnings.push(...(await deadWays(trx, reading, work.compared)));
          done.planned = await readPlannedState(trx, reading, work.compared, after);
        }
        // Last: the plan is of the objects alone.
        if (reading.problems.length === 0) await makeEntries(context, trx, reading, work.entries, work.refuseOne);
      }
      if (request.mode === "plan" || reading.problems.length > 0) throw new RolledBack();
      await own(context, trx, work);
      await work.store(trx, done);
    });
  try {
    // The rows of the audit trail that the bodies of kinds record name the source, too.
    await runAs({ ...currentCaller(), audited: { source } }, change);
  } catch (error) {
    if (!isRolledBack(error)) throw error;
    done.issued.length = 0;
  }
  // Others wait for the transaction, so it only reads the rows.
  if (reading.problems.length === 0) done.onCall.push(...(await onCallChanges(context, work, before, after)));
  return done;
}

/** Of a plan a missing right is one of those that the caller lacks, else a problem. */
function refuseEntry(
  reading: ReadRequest,
  mayNot: ConfigurationPlan["mayNot"][number][] | null,
  wanted: Wanted,
  error: unknown,
): void {
  const { kind, projectId, name } = wanted;
  if (mayNot === null || !isLackOfRight(error)) return refuse(reading, { wanted, name, kind, row: null }, error);
  const lack = { kind: kind.kind, project: slugOf(reading, projectId), right: kind.rights.write };
  if (!mayNot.some((each) => isDeepStrictEqual(each, lack))) mayNot.push(lack);
}

type Schedules = Awaited<ReturnType<typeof changedSchedules>>;

async function runSteps(trx: Trx, { reading, compared, prepared, request }: Run, done: Done) {
  const order = orderOf(reading);
  const changed = compared.steps.filter(({ op }) => op !== "delete").sort((a, b) => order(a) - order(b));
  const removed = compared.steps.filter(({ op }) => op === "delete").sort((a, b) => order(b) - order(a));
  const rowOf = changedRows(trx, changed);
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
        : await kind.update(trx, { ...owner, row: await rowOf(kind, stored) }, stored, spec, prepared.get(step));
      if (issued && Object.keys(issued).length > 0)
        done.issued.push({ ...viewOf(reading, step), values: { ...issued } });
    } catch (error) {
      refuse(reading, { ...step, name }, error);
      // Each problem of a plan is one of its files: what follows from it would only repeat it.
      if (reading.problems.length >= 20) return;
    }
  }
}

/** The rows of changed objects, those of a kind all at once: each is given out once, as it is before its change. */
function changedRows(trx: Trx, steps: readonly Step[]) {
  const rows = new Map<ConfigKind, Map<string, unknown>>();
  const idsOf = (kind: ConfigKind) =>
    steps.flatMap((step) => (step.kind === kind && step.stored && !step.isOwnOnly ? step.stored.id : []));
  return async (kind: ConfigKind, { id }: StoredObject): Promise<unknown> => {
    if (!kind.rows) return undefined;
    const known = rows.get(kind) ?? new Map(await kind.rows(trx, idsOf(kind)));
    rows.set(kind, known);
    const row = known.get(id);
    known.delete(id);
    return row;
  };
}

/** How far ahead a plan says who is on call. */
const AHEAD_MS = 28 * DAY_MS;

/** Who is on call differently on changed schedules. */
async function onCallChanges(
  context: ConfigurationContext,
  { reading, compared }: Run,
  before: Schedules,
  after: Schedules,
) {
  const from = context.clock.now();
  const span = { from, to: from + AHEAD_MS };
  const parts = { users: reading.access.users, clock: context.clock };
  const changed: { readonly step: Step; readonly differences: ReturnType<typeof onCallDifference> }[] = [];
  for (const step of compared.steps) {
    const { kind, op, id, members } = step;
    if (kind.kind !== "oncall" || op === "create") continue;
    // The other members say nothing of who is on call.
    if (op !== "delete" && !members.some(({ path }) => /^(shifts|timezone|calendarUrl)\b/.test(path))) continue;
    const was = await finalShiftsOf(parts, before.get(id), span);
    changed.push({ step, differences: onCallDifference(was, await finalShiftsOf(parts, after.get(id), span)) });
  }
  const all = changed.flatMap(({ differences }) => differences);
  const people = all.flatMap((each) => [...each.before, ...each.after]);
  const nameOf = await namesOf(context, reading, people);
  return changed.flatMap(({ step: { name, projectId, op, spec, stored }, differences }) =>
    differences.map((each) => ({
      ...{ project: slugOf(reading, projectId) ?? "", schedule: name },
      timezone: zoneOf(op === "delete" ? (stored?.spec ?? {}) : spec),
      ...{ from: toRfc3339(each.from), to: toRfc3339(each.to) },
      ...{ before: each.before.map(nameOf), after: each.after.map(nameOf) },
    })),
  );
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
async function own(context: ConfigurationContext, trx: Trx, work: Run) {
  const { reading, compared, touched, request, counts } = work;
  const { source = "files", lock = false } = request;
  const now = context.clock.now();
  const lists = await changedLists(trx, touched, compared);
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
  const { length: runtime } = work.entries;
  const metadata = { ...counts, ...(runtime > 0 && { runtime }), digest: digestOf(context, request.objects) };
  const entry = { action: "configuration.apply", resourceType: "configuration", metadata };
  await context.audit.record(entry, { trx });
}

/** The touched lists with the objects that were stored, and maybe others. */
async function changedLists(trx: Trx, touched: readonly Listed[], { steps }: Compared) {
  const lists = new Map<string, Listed>();
  for (const { kind, projectId } of touched) {
    const own = steps.filter((step) => step.wanted && step.kind.kind === kind.kind && step.projectId === projectId);
    const ids = own.map(({ id }) => id);
    lists.set(listKey(kind.kind, projectId), { kind, projectId, objects: await kind.list(trx, projectId, ids) });
  }
  return lists;
}

/** The same for the same objects, wherever they stand in the files; its reader may not see the URLs in them. */
function digestOf({ box }: ConfigurationContext, objects: ConfigurationRequest["objects"]): string {
  const texts = objects.map(({ kind, project, spec, renamedFrom }) =>
    JSON.stringify([kind, project, spec, renamedFrom]),
  );
  return keyedHash(box, texts.sort().join("\n"));
}
