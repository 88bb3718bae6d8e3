import type { Database as Sqlite } from "better-sqlite3";
import { sql } from "kysely";
import type { EpochMs } from "../../../core/time/clock.ts";
import { addEffect, insertLater, type ReadDb, type Trx } from "../../../store/database.ts";
import type { AlertSource, AlertState } from "../../../store/schema.ts";
import { valuesOf } from "../../../store/sqlite/list-queries.ts";
import { type LabelRecord, type Labels, labelRecord, labelsOf, labelValue } from "../model/labels.ts";
import type { AlertRow, AlertView } from "../types.ts";

/** Members that a repetition moves: in memory at once, in the table with the next flush. */
export interface Repetition extends Pick<AlertView, "sender" | "startsAt" | "endsAt" | "generatorUrl" | "lastAt"> {
  readonly isTimeoutEnd: boolean;
  /** JSON text. */
  readonly annotations: string;
}

/** Texts that many alerts share. */
const MAX_TEXTS = 10_000;
const texts = new Map<string, string>();

/** One copy of equal texts: a row has its own of each. */
function shared<T extends string | null>(text: T): T {
  if (text === null) return text;
  const known = texts.get(text);
  if (known !== undefined) return known as T;
  if (texts.size >= MAX_TEXTS) texts.clear();
  texts.set(text, text);
  return text;
}

/** An alert as its row has it; a live one also as its repetitions have moved it. */
export class StoredAlert implements AlertView {
  readonly id: string;
  readonly projectId: string;
  readonly key: string;
  fingerprint: string;
  labelSet: Labels;
  readonly source: AlertSource;
  sourceId: string | null = null;
  sender: string | null = null;
  severity: string | null = null;
  /** JSON text: a third of the memory of an object. */
  annotationsText = "{}";
  generatorUrl: string | null = null;
  state: AlertState = "firing";
  startsAt: EpochMs = 0;
  firesAt: EpochMs | null = null;
  endsAt: EpochMs | null = null;
  isTimeoutEnd = false;
  lastAt: EpochMs = 0;
  count = 0;
  resolvedAt: EpochMs | null = null;
  timedOut = false;

  constructor(row: AlertRow) {
    this.id = row.id;
    this.projectId = shared(row.projectId);
    this.key = row.key;
    this.source = shared(row.source);
    this.fingerprint = row.fingerprint;
    this.labelSet = labelsOf(JSON.parse(row.labels) as LabelRecord);
    this.assign(row);
  }

  get labels(): LabelRecord {
    return labelRecord(this.labelSet);
  }

  get annotations(): LabelRecord {
    return JSON.parse(this.annotationsText) as LabelRecord;
  }

  label(name: string): string {
    return labelValue(this.labelSet, name);
  }

  /** Takes what a transaction has stored. */
  assign(row: AlertRow): void {
    if (this.fingerprint !== row.fingerprint) this.labelSet = labelsOf(JSON.parse(row.labels) as LabelRecord);
    this.fingerprint = row.fingerprint;
    this.sourceId = shared(row.sourceId);
    this.sender = shared(row.sender);
    this.severity = shared(row.severity);
    this.annotationsText = row.annotations;
    this.generatorUrl = row.generatorUrl;
    this.state = shared(row.state);
    this.startsAt = row.startsAt;
    this.firesAt = row.firesAt;
    this.endsAt = row.endsAt;
    this.isTimeoutEnd = row.isTimeoutEnd === 1;
    this.lastAt = row.lastAt;
    this.count = row.count;
    this.resolvedAt = row.resolvedAt;
    this.timedOut = row.timedOut === 1;
  }

  repeat(repetition: Repetition): void {
    this.sender = repetition.sender;
    this.startsAt = repetition.startsAt;
    this.endsAt = repetition.endsAt;
    this.isTimeoutEnd = repetition.isTimeoutEnd;
    this.lastAt = repetition.lastAt;
    this.count++;
    if (this.annotationsText !== repetition.annotations) this.annotationsText = repetition.annotations;
    if (this.generatorUrl !== repetition.generatorUrl) this.generatorUrl = repetition.generatorUrl;
  }

  copy(): StoredAlert {
    return Object.assign(Object.create(StoredAlert.prototype) as StoredAlert, this);
  }

  toRow(): AlertRow {
    return {
      id: this.id,
      projectId: this.projectId,
      key: this.key,
      fingerprint: this.fingerprint,
      labels: JSON.stringify(this.labels),
      annotations: this.annotationsText,
      generatorUrl: this.generatorUrl,
      severity: this.severity,
      source: this.source,
      sourceId: this.sourceId,
      sender: this.sender,
      state: this.state,
      startsAt: this.startsAt,
      firesAt: this.firesAt,
      endsAt: this.endsAt,
      isTimeoutEnd: this.isTimeoutEnd ? 1 : 0,
      timedOut: this.timedOut ? 1 : 0,
      lastAt: this.lastAt,
      count: this.count,
      resolvedAt: this.resolvedAt,
    };
  }
}

interface ProjectAlerts {
  readonly byKey: Map<string, StoredAlert>;
  pending: number;
}

/** The firing and pending alerts of all projects. It changes by effects and repetitions only. */
export class AlertBook {
  readonly #byId = new Map<string, StoredAlert>();
  readonly #projects = new Map<string, ProjectAlerts>();
  #pending = 0;

  get size(): number {
    return this.#byId.size;
  }

  find(id: string): StoredAlert | undefined {
    return this.#byId.get(id);
  }

  byKey(projectId: string, key: string): StoredAlert | undefined {
    return this.#projects.get(projectId)?.byKey.get(key);
  }

  all(): Iterable<StoredAlert> {
    return this.#byId.values();
  }

  projects(): string[] {
    return [...this.#projects.keys()];
  }

  ofProject(projectId: string): Iterable<StoredAlert> {
    return this.#projects.get(projectId)?.byKey.values() ?? [];
  }

  counts(projectId?: string): { readonly firing: number; readonly pending: number } {
    if (projectId === undefined) return { firing: this.#byId.size - this.#pending, pending: this.#pending };
    const { byKey, pending } = this.#projects.get(projectId) ?? { byKey: { size: 0 }, pending: 0 };
    return { firing: byKey.size - pending, pending };
  }

  /** @returns the live alert; undefined for a resolved one, which leaves the book */
  put(row: AlertRow): StoredAlert | undefined {
    const known = this.#byId.get(row.id);
    if (row.state === "resolved") {
      if (known) this.#remove(known, row);
      return undefined;
    }
    const project = this.#projectOf(row.projectId);
    if (known?.state === "pending") this.#countPending(project, -1);
    known?.assign(row);
    const alert = known ?? new StoredAlert(row);
    if (alert.state === "pending") this.#countPending(project, 1);
    this.#byId.set(alert.id, alert);
    project.byKey.set(alert.key, alert);
    return alert;
  }

  #remove(alert: StoredAlert, row: AlertRow): void {
    const project = this.#projectOf(alert.projectId);
    if (alert.state === "pending") this.#countPending(project, -1);
    this.#byId.delete(alert.id);
    if (project.byKey.get(alert.key) === alert) project.byKey.delete(alert.key);
    if (project.byKey.size === 0) this.#projects.delete(alert.projectId);
    alert.assign(row);
  }

  #projectOf(projectId: string): ProjectAlerts {
    const known = this.#projects.get(projectId);
    if (known) return known;
    const project: ProjectAlerts = { byKey: new Map(), pending: 0 };
    this.#projects.set(projectId, project);
    return project;
  }

  #countPending(project: ProjectAlerts, by: number): void {
    project.pending += by;
    this.#pending += by;
  }
}

// The only file that writes the tables `alerts` and `alert_signals`; rules insert the signals.

export function insertAlerts(trx: Trx, rows: readonly AlertRow[]): void {
  for (const row of rows) insertLater(trx, "alerts", row);
}

/** One statement for all, as in {@link storeRepetitions}. */
export async function replaceAlerts(trx: Trx, rows: readonly AlertRow[]): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const names = (Object.keys(first) as (keyof AlertRow)[]).filter((name) => name !== "id");
  const columns = sql.join(names.map((name, i) => sql`${sql.ref(name)} = r.value ->> ${sql.lit(i + 1)}`));
  const values = JSON.stringify(rows.map((row) => [row.id, ...names.map((name) => row[name])]));
  await sql`update alerts set ${columns} from json_each(${values}) r where alerts.id = r.value ->> 0`.execute(trx);
}

export async function deleteAlert(trx: Trx, id: string): Promise<void> {
  textsChanged(trx, await trx.deleteFrom("alerts").where("id", "=", id).returning("projectId").execute());
}

/** For the bytes that their projects store. */
function textsChanged(trx: Trx, rows: readonly Pick<AlertRow, "projectId">[]): void {
  const projectIds = [...new Set(rows.map(({ projectId }) => projectId))];
  if (projectIds.length > 0) addEffect(trx, { type: "texts-changed", projectIds });
}

/** All live alerts, in the order of the table: by the index alone each row was on another page. */
export function liveAlerts(reader: Sqlite): Iterable<AlertRow> {
  const rows = reader.prepare<[], AlertRow>(
    `select a.* from (select id from alerts where state <> 'resolved' order by id) live
     join alerts a on a.id = live.id`,
  );
  return rows.iterate();
}

export function alertsById(db: ReadDb | Trx, ids: readonly string[]): Promise<AlertRow[]> {
  if (ids.length === 0) return Promise.resolve([]);
  return db.selectFrom("alerts").selectAll().where("id", "in", valuesOf(ids)).execute();
}

/** Stores what repetitions have moved. An alert that was resolved meanwhile keeps its row. */
export async function storeRepetitions(trx: Trx, alerts: readonly StoredAlert[]): Promise<void> {
  const rows = alerts.map((alert) => {
    const { id, startsAt, endsAt, isTimeoutEnd, lastAt, count, annotationsText, generatorUrl, sender } = alert;
    return [id, startsAt, endsAt, isTimeoutEnd ? 1 : 0, lastAt, count, annotationsText, generatorUrl, sender];
  });
  // One statement for all: 500 rows take 4 ms, one by one 40.
  await sql`
    update alerts set startsAt = r.value ->> 1, endsAt = r.value ->> 2, isTimeoutEnd = r.value ->> 3,
      lastAt = r.value ->> 4, count = r.value ->> 5, annotations = r.value ->> 6, generatorUrl = r.value ->> 7,
      sender = r.value ->> 8
    from json_each(${JSON.stringify(rows)}) r
    where alerts.id = r.value ->> 0 and alerts.state <> 'resolved'`.execute(trx);
  textsChanged(trx, alerts);
}

export interface SignalRow {
  readonly eventSeq: number;
  readonly ruleId: string;
  readonly action: "fire" | "resolve";
  readonly projectId: string;
  readonly input: string;
  readonly at: EpochMs;
}

/** Signals of rules, in the order of their events. */
export function firstSignals(trx: Trx, limit: number): Promise<SignalRow[]> {
  return trx.selectFrom("alert_signals").selectAll().orderBy("eventSeq").orderBy("ruleId").limit(limit).execute();
}

export async function deleteSignals(trx: Trx, signals: readonly SignalRow[]): Promise<void> {
  for (const { eventSeq, ruleId } of signals)
    await trx.deleteFrom("alert_signals").where("eventSeq", "=", eventSeq).where("ruleId", "=", ruleId).execute();
  addEffect(trx, { type: "signals-taken", signals });
}
