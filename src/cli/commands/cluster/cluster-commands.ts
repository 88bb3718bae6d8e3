import { existsSync, renameSync, rmSync } from "node:fs";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Database as Sqlite } from "better-sqlite3";
import type { ClusterComparison } from "../../../client/api-types.gen.ts";
import {
  appliedHere,
  type HeardNode,
  heardBeats,
  OTHER_SECRET,
  requireClusterFiles,
  tryServers,
  unreachableOf,
} from "../../../cluster/follow/look.ts";
import type { LogRange } from "../../../cluster/log/fenced-log.ts";
import { RESEED } from "../../../cluster/log/log.ts";
import { connectNats, NatsLog, NatsServerRefused } from "../../../cluster/log/nats-log.ts";
import { hasTables, type Position, readPosition, START, startPosition } from "../../../cluster/log/position.ts";
import { encodeRecord, newRecordId, RecordReader, recordBox, UnreadableRecord } from "../../../cluster/log/record.ts";
import { spooledIn } from "../../../cluster/spool/spool.ts";
import { digestOf } from "../../../cluster/tools/digest.ts";
import { nodeOf } from "../../../config/checks.ts";
import { type LoadedConfig, sealedBoxOf } from "../../../config/load.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { noteFirstHead } from "../../../features/records/audit/index.ts";
import { SLICED_LIMIT_MS } from "../../../remote/server-client.ts";
import { CONSOLE_SETTINGS, hasAuditKey } from "../../../store/sealed-settings.ts";
import { closing, openForReading, openForWriting } from "../../../store/sqlite/connection.ts";
import { endClusterOf } from "../../../store/store.ts";
import { notesOf } from "../../../store/write-health.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { requireSomeDatabase, withDataDirLock } from "../../data-dir.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { table } from "../../output/output.ts";
import { callOf, type Values } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { confirm } from "../access/prompt.ts";

/** @throws CommandError 3 without cluster.servers, 8 when no node leads */
export async function clusterStatus(context: CommandContext): Promise<void> {
  refuseUrl(context, "cluster status");
  const { config } = requireCluster(context);
  await withLog(config, "status", async (nats, journal) => {
    const nodes = await heardNodes(nats, config);
    // Afterwards: the log has all that they have applied.
    const range = await rangeOf(journal);
    const applied = range === null ? appliedHere(config.databaseFile) : 0;
    if (applied > 0)
      throw new CommandError(
        EXIT.checkFailed,
        `the log of the cluster is gone, and this node has applied ${applied} records of it: ` +
          `see which nats-servers run: prism doctor; ${RESEED}`,
      );
    const leader = nodes.find(({ isLeader }) => isLeader);
    const rows = nodes.map((beat) => [
      ...[beat.node, beat.isLeader ? "leader" : "follows", beat.isLeader ? "-" : beat.sequence],
      ...[...lagOf(beat, leader), beat.hasRoom === undefined ? null : beat.hasRoom ? "yes" : "no"],
      ...[beat.term, beat.skewMs, beat.version, beat.advertise],
    ]);
    const unreachable = await unreachableOf(nodes, config);
    context.out.result({ nodes, log: range, unreachable }, () => [
      ...table(["NODE", "ROLE", "APPLIED", "BEHIND", "LAG MS", "ROOM", "TERM", "CLOCK MS", "VERSION", "URL"], rows),
      range === null ? noLogYet(config.databaseFile) : `The log has the records ${range.first} to ${range.last}.`,
      ...unreachable.map(
        ({ node, isLeader, advertise, reason }) =>
          `The ${isLeader ? "leader" : "node"} ${node} cannot be reached at ${advertise} from this machine: ${reason}.`,
      ),
    ]);
    if (!leader) throw new CommandError(EXIT.checkFailed, "no node leads");
  });
}

/** How many records a node lacks, and how old its last one is then; null: not known. */
function lagOf({ isLeader, sequence, recordAt }: HeardNode, leader: HeardNode | undefined): (number | null)[] {
  if (isLeader || !leader) return [null, null];
  const behind = Math.max(0, leader.sequence - sequence);
  if (behind === 0) return [0, 0];
  return [behind, recordAt === 0 ? null : Math.max(0, leader.at - recordAt)];
}

function noLogYet(file: string): string {
  const isOutside = hasTables(file) && closing(openForReading(file), readPosition) === null;
  const by = isOutside ? "prism cluster init makes it from this database" : "the first start of prism serve makes it";
  return `There is no log yet: ${by}.`;
}

/** The nodes that are heard, by name. @throws CommandError 8 when all that is heard has another secret */
async function heardNodes(nats: NatsConnection, { cluster }: LoadedConfig["config"]): Promise<readonly HeardNode[]> {
  const { nodes, unreadable } = await heardBeats(nats, cluster, cluster.secret ?? "");
  if (nodes.length === 0 && unreadable > 0) throw new CommandError(EXIT.checkFailed, OTHER_SECRET);
  return nodes;
}

/** Null: there is no log. */
async function rangeOf(journal: NatsLog): Promise<LogRange | null> {
  return (await journal.exists()) ? journal.range() : null;
}

/** At the leader by its control socket, at any node by HTTP. */
export async function clusterStepDown(context: CommandContext, { to }: Values): Promise<void> {
  const step = await withServer(context, (server) => callOf(server, "stepDownCluster", { to }), { mustRun: true });
  context.out.result(step, () => [`${step.from} ends its work; ${step.to} leads next.`]);
}

const RESULTS = { equal: "equal", differs: "differs", "no-answer": "did not answer" } as const;

/** At the leader by its control socket, at any node by HTTP. @throws CommandError 8 when not all nodes are equal */
export async function clusterCompare(context: CommandContext): Promise<void> {
  const path = "/api/v1/cluster/compare";
  const comparison = await withServer(
    context,
    (server) => server.request<ClusterComparison>({ method: "POST", path, limitMs: SLICED_LIMIT_MS }),
    { mustRun: true },
  );
  const { leader, sequence, rows, nodes } = comparison;
  context.out.result(comparison, () => [
    ...table(
      ["NODE", "RESULT", "TABLES"],
      nodes.map(({ name, result, tables }) => [name, RESULTS[result], tables.join(", ") || "-"]),
    ),
    `Compared with ${rows} rows of ${leader} at the record ${sequence}.`,
  ]);
  const named = (wanted: keyof typeof RESULTS) => nodes.flatMap(({ name, result }) => (result === wanted ? name : []));
  const [differing, silent] = [named("differs"), named("no-answer")];
  const problems = [
    ...(differing.length > 0 ? [`not equal to ${leader}: ${differing.join(", ")}`] : []),
    ...(silent.length > 0 ? [`did not answer: ${silent.join(", ")}`] : []),
  ];
  if (problems.length > 0) throw new CommandError(EXIT.checkFailed, problems.join("; "));
}

export async function clusterDigest(context: CommandContext): Promise<void> {
  refuseUrl(context, "cluster digest");
  const loaded = context.loadConfig("none");
  requireSomeDatabase(loaded);
  const reader = openForReading(loaded.config.databaseFile);
  const position = readPosition(reader);
  const tables = await digestOf(reader).finally(() => reader.close());
  context.out.result({ position, tables }, () => [
    ...table(
      ["TABLE", "ROWS", "DIGEST"],
      tables.map(({ table: name, rows, digest }) => [name, rows, digest.slice(0, 16)]),
    ),
    position === null ? "The database is in no cluster." : `It has the log up to the record ${position.sequence}.`,
  ]);
}

const HAS_LOG =
  "the cluster has a log already. To follow it: prism cluster join (this database is put aside). " +
  "Only if this database shall replace the cluster's: prism cluster reseed";

/** @throws CommandError 3 when the cluster has a log already, or the database is in one */
export async function clusterInit(context: CommandContext): Promise<void> {
  refuseUrl(context, "cluster init");
  const loaded = requireCluster(context);
  const { config } = loaded;
  requireSomeDatabase(loaded);
  await withDataDirLock(config, async () => {
    await withLog(config, "init", async (_nats, journal) => {
      if ((await journal.exists()) && (await journal.last()) > 0) throw new CommandError(EXIT.refused, HAS_LOG);
      await changing(config, async (connection) => {
        if (readPosition(connection) !== null)
          throw new CommandError(EXIT.refused, "the database is in a cluster already");
        // Of a cluster before this one: the settings of this node count.
        if (hasAuditKey(connection)) connection.prepare("delete from settings where key = ?").run(CONSOLE_SETTINGS);
        await beginLog(connection, journal, config).catch((error: unknown) => {
          endClusterOf(connection);
          throw error;
        });
      });
    });
    context.out.result({ cluster: config.cluster.name, node: nodeOf(config) }, () => [
      `The database is the first one of the cluster ${config.cluster.name}. Start prism serve here, then on the other nodes.`,
    ]);
  });
}

const SENT = "Prism sends them to itself when it starts here.";

/**
 * @throws CommandError 3 for a database that is in no cluster, while another node is heard, and when the log
 * has records that this database lacks; 8 when all that is heard has another secret
 */
export async function clusterLeave(context: CommandContext, { yes, withoutRecords }: Values): Promise<void> {
  refuseUrl(context, "cluster leave");
  const loaded = context.loadConfig("none");
  requireSomeDatabase(loaded);
  const { config } = loaded;
  const position = closing(openForReading(config.databaseFile), readPosition);
  if (position === null) throw new CommandError(EXIT.refused, "the database is in no cluster");
  const notChecked = await requireLast(config, position, withoutRecords === true);
  if (notChecked !== null) context.out.note(notChecked);
  const question = "Go on without the cluster? Do so on one node only, and stop the others";
  if (yes !== true && !(await confirm(question))) throw new CommandError(EXIT.usage, NOT_CONFIRMED);
  await withDataDirLock(config, () => {
    closing(openForWriting({ file: config.databaseFile, busyTimeoutMs: 5000 }), (connection) => {
      noteFirstHead(connection, config.dataDir, sealedBoxOf(config));
      endClusterOf(connection);
    });
    const { waiting } = spooledIn(config.dataDir);
    context.out.result({ left: true, notChecked, waiting }, () => [
      "Remove cluster.servers from the configuration, and start prism serve.",
      "On the other machines disable Prism and the nats-servers: a node that starts there with the log leads alone.",
      ...(waiting === 0
        ? []
        : [`Taken without a leader, and in no database yet: ${countText(waiting, "request")}. ${SENT}`]),
    ]);
  });
}

/**
 * Looks for nodes that run, and for records that only the log has. @returns why it could not look: a node goes on
 * alone after the loss of the nats-servers; null: it has looked
 */
async function requireLast(
  config: LoadedConfig["config"],
  position: Position,
  withoutRecords: boolean,
): Promise<string | null> {
  const cannotLook = "could not look for other nodes of the cluster";
  if (config.cluster.servers.length === 0) return `cluster.servers is not set: ${cannotLook}`;
  const nats = await connected(config, "leave").catch((error: unknown) => {
    if (error instanceof CommandError && error.exitCode === EXIT.unreachable) return null;
    throw error;
  });
  if (nats === null) return `no nats-server answers: ${cannotLook}`;
  try {
    const running = (await heardNodes(nats, config)).map(({ node }) => node).filter((node) => node !== nodeOf(config));
    if (running.length > 0)
      throw new CommandError(EXIT.refused, `stop the other nodes first, the leader last: ${running.join(", ")}`);
    if (!withoutRecords) await requireAllRecords(nats, config, position.sequence);
    return null;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    return `the log of the cluster cannot be read (${why}): could not look for records that this node lacks`;
  } finally {
    await nats.close();
  }
}

/** @throws CommandError 3 for a change that is in the log, and not in this database; errors of a log without a majority */
async function requireAllRecords(
  nats: NatsConnection,
  { cluster }: LoadedConfig["config"],
  applied: number,
): Promise<void> {
  const journal = await NatsLog.open(nats, { ...cluster, allowOldServer: true });
  const range = await rangeOf(journal);
  if (range === null || range.last <= applied) return;
  if (range.first <= applied + 1 && !(await hasChanges(journal, applied, range.last, cluster))) return;
  throw new CommandError(
    EXIT.refused,
    `this node has ${applied} of ${range.last} records of the log: run it on the machine that led last, or start this ` +
      "one once more so that it catches up; if the records shall be lost: --without-records",
  );
}

/** A leader notes its own signs of life in the log only: they change nothing. A record that cannot be read counts. */
async function hasChanges(
  journal: NatsLog,
  applied: number,
  last: number,
  { secret = "", previousSecrets }: LoadedConfig["config"]["cluster"],
): Promise<boolean> {
  const reader = new RecordReader(recordBox([secret, ...previousSecrets]));
  try {
    for await (const { sequence, bytes } of journal.follow(applied)) {
      if (reader.read(bytes)?.content.kind === "statements") return true;
      if (sequence >= last) return false;
    }
  } catch (error) {
    if (error instanceof UnreadableRecord) return true;
    throw error;
  }
  throw new Error("it does not answer");
}

/** The leader forgets a node that is gone for good, at the leader by its control socket, at any node by HTTP. */
export async function clusterRemove(context: CommandContext, node: string): Promise<void> {
  const path = `/api/v1/cluster/nodes/${encodeURIComponent(node)}`;
  await withServer(context, (server) => server.delete(path), { mustRun: true });
  context.out.result({ removed: node }, () => [`The cluster no longer expects the node ${node}.`]);
}

/**
 * Makes a new log that begins with this node's database, in place of one that is lost or damaged.
 * @throws CommandError 3 while a node runs
 */
export async function clusterReseed(context: CommandContext, { yes }: Values): Promise<void> {
  refuseUrl(context, "cluster reseed");
  const loaded = requireCluster(context);
  const { config } = loaded;
  requireSomeDatabase(loaded);
  const reseed = async (nats: NatsConnection, journal: NatsLog): Promise<void> => {
    const [range, running] = await Promise.all([rangeOf(journal), heardNodes(nats, config)]);
    if (running.length > 0)
      throw new CommandError(EXIT.refused, `stop all nodes first: ${running.map(({ node }) => node).join(", ")}`);
    const position = closing(openForReading(config.databaseFile), readPosition);
    const question = reseedQuestion(position?.sequence ?? null, range);
    if (yes !== true && !(await confirm(question))) throw new CommandError(EXIT.usage, NOT_CONFIRMED);
    if (range !== null) await journal.remove();
    await changing(config, (connection) => beginLog(connection, journal, config));
    context.out.result({ cluster: config.cluster.name, node: nodeOf(config), before: position, log: range }, () => [
      "The next log begins with this database. Start prism serve here, then prism cluster join on the other nodes.",
    ]);
  };
  await withDataDirLock(config, () => withLog(config, "reseed", reseed));
}

async function changing(
  { databaseFile: file }: LoadedConfig["config"],
  work: (connection: Sqlite) => Promise<void>,
): Promise<void> {
  const connection = openForWriting({ file, busyTimeoutMs: 5000 });
  await work(connection).finally(() => connection.close());
}

/**
 * Makes the log, with a first record that follows this database alone: an empty node that starts
 * first copies it instead of leading. @throws CommandError 3 when the nats-servers cannot make it
 */
async function beginLog(connection: Sqlite, journal: NatsLog, { cluster }: LoadedConfig["config"]): Promise<void> {
  const id = newRecordId();
  startPosition(connection, { ...START, id });
  const content = { kind: "beat" } as const;
  const first = { id: newRecordId(), previous: id, term: 0, node: nodeOf({ cluster }), at: Date.now(), content };
  try {
    await journal.create(cluster.replicas);
    await journal.append(encodeRecord(first, recordBox([cluster.secret ?? "", ...cluster.previousSecrets])), 0);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(EXIT.refused, `the log cannot be made: ${why}`, { cause });
  }
}

const NOT_CONFIRMED = "nothing was changed; --yes changes it without asking";

function reseedQuestion(applied: number | null, range: LogRange | null): string {
  const own = applied === null ? "it is in no cluster yet" : `it has applied the record ${applied}`;
  const log =
    range === null ? "there is no log" : `the log, with the records ${range.first} to ${range.last}, is removed`;
  return `Begin a new log with this database (${own}; ${log})? What only other nodes have is lost`;
}

/** Names of the database that this node had, beside the one of the leader. */
const GIVEN_UP = ".before-join";

/**
 * Puts this node's database aside, so that its next start copies the leader's. @throws CommandError 8 when
 * no node leads
 */
export async function clusterJoin(context: CommandContext, { yes }: Values): Promise<void> {
  refuseUrl(context, "cluster join");
  const { config } = requireCluster(context);
  await withDataDirLock(config, async () => {
    const nats = await connected(config, "join");
    const nodes = await heardNodes(nats, config).finally(() => nats.close());
    const leader = nodes.find(({ isLeader }) => isLeader);
    if (!leader) throw new CommandError(EXIT.checkFailed, "no node leads: there is no database to copy");
    const question = `Put this database aside, and copy the one of ${leader.node} at the next start?`;
    if (yes !== true && !(await confirm(question))) throw new CommandError(EXIT.usage, NOT_CONFIRMED);
    const kept = nameToKeep(config.databaseFile);
    const own = partsOf(config.databaseFile);
    for (const suffix of own) renameSync(`${config.databaseFile}${suffix}`, `${kept}${suffix}`);
    for (const file of notesOf(config.dataDir)) rmSync(file, { force: true });
    const files = own.map((suffix) => `${kept}${suffix}`);
    context.out.result({ leader: leader.node, kept: files.includes(kept) ? kept : null, files }, () => [
      `Start prism serve: it copies the database of ${leader.node}.`,
      ...(files.length === 0 ? [] : [`The database of before is kept. When all is well, remove ${files.join(" ")}`]),
    ]);
  });
}

/** Suffixes of the files of a database that are there: SQLite finds its log by its name. */
function partsOf(file: string): string[] {
  return ["", "-wal", "-shm"].filter((suffix) => existsSync(`${file}${suffix}`));
}

/** A name that no earlier join has given. */
function nameToKeep(file: string): string {
  const name = (n: number): string => `${file}${GIVEN_UP}${n === 1 ? "" : `-${n}`}`;
  let n = 1;
  while (partsOf(name(n)).length > 0) n++;
  return name(n);
}

/** @throws CommandError 3 when servers refuse this node and none takes it, 4 when none answers */
async function connected({ cluster }: LoadedConfig["config"], what: string): Promise<NatsConnection> {
  requireClusterFiles(cluster);
  const name = `${nodeOf({ cluster })} ${what}`;
  const connection = await connectNats(cluster, name).catch(() => null);
  if (connection !== null) return connection;
  const tried = await tryServers(cluster, name);
  const failed = tried.filter((each) => each.connection === null);
  const [reached, ...others] = tried.flatMap((each) => each.connection ?? []);
  await Promise.all(others.map((other) => other.close()));
  if (reached) return reached;
  const refusing = failed.filter(({ isRefusal }) => isRefusal).map(({ address }) => address);
  if (refusing.length > 0)
    throw new CommandError(EXIT.refused, `the nats-servers refuse the user of this node: ${refusing.join(", ")}`);
  const reasons = failed.map(({ address, reason }) => `${address} (${reason})`).join(", ");
  throw new CommandError(EXIT.unreachable, `no nats-server answers: ${reasons}`);
}

/** Runs `work` with the log. @throws CommandError as {@link connected}, 3 for a server that is too old */
async function withLog(
  config: LoadedConfig["config"],
  what: string,
  work: (nats: NatsConnection, journal: NatsLog) => Promise<void>,
): Promise<void> {
  const nats = await connected(config, what);
  try {
    await work(nats, await NatsLog.open(nats, config.cluster));
  } catch (error) {
    if (!(error instanceof NatsServerRefused)) throw error;
    throw new CommandError(EXIT.refused, error.message, { cause: error });
  } finally {
    await nats.close();
  }
}

/** @throws CommandError 3 */
function requireCluster(context: CommandContext): LoadedConfig {
  const loaded = context.loadConfig("none");
  if (loaded.config.cluster.servers.length > 0) return loaded;
  throw new CommandError(EXIT.refused, "cluster.servers is not set: this is no node of a cluster");
}
