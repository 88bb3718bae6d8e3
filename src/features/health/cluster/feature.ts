import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { ClusterCondition, ClusterLead, NodeState } from "../../../cluster/lead/lead.ts";
import { archivesIn, archiveTime, BACKUPS_DIR } from "../../../core/data-dir.ts";
import { PrismError } from "../../../core/errors.ts";
import { holdActing, pageWarning } from "../../../core/runtime.ts";
import { spanText, toRfc3339 } from "../../../core/time/clock.ts";
import { periodic } from "../../../core/time/periodic.ts";
import { doc, example, named, object, text } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type Context, feature } from "../../../module/feature.ts";
import { administrators } from "../../access/index.ts";
import { DrillUsers, startDrills } from "../../oncall/drill/index.ts";
import { ComparisonView, compareCluster, comparisonView, comparisonWarnings, readComparison } from "./comparison.ts";
import {
  drillDueAt,
  drillView,
  endTakeOverDrill,
  noteAskedForDrill,
  noteFirstLeader,
  readTakeOverDrill,
  storeTakeOverDrill,
  TakeOverDrillView,
} from "./drill.ts";

const shared = { tag: "Cluster", access: { permission: "system:manage" } } as const;
const LOOK_MS = 10_000;
const PRIORITY = 500;

const Node = named(
  "ClusterNode",
  "A node of a cluster, as the leader knows it",
  v.object({
    name: v.string(),
    role: doc(v.picklist(["leader", "follower", "standby"]), "`standby`: it follows, and never leads"),
    live: doc(v.boolean(), "It was heard within `cluster.deadMs`"),
    version: v.string(),
    sequence: doc(v.number(), "Last record of the log that it has applied"),
    lagRecords: v.number(),
    lagMs: v.number(),
    skewMs: doc(v.number(), "How far its clock is ahead of the leader's, less the way of the message"),
    heardAt: v.string(),
    advertise: doc(v.string(), "URL under which the other nodes reach it"),
  }),
);

const TakeOverView = named(
  "ClusterTakeOver",
  "How the leader came to lead",
  v.object({
    at: doc(v.string(), "Since when it answers requests"),
    from: doc(v.string(), "The leader before"),
    withoutLeaderMs: doc(v.number(), "From the last sign of the leader before"),
    kind: doc(v.picklist(["handed-over", "lost"]), "`lost`: it died, hung or could not be reached"),
  }),
);

const LogView = named(
  "ClusterLog",
  "The log on NATS JetStream",
  v.object({
    first: v.number(),
    last: v.number(),
    servers: doc(
      v.array(v.object({ name: v.string(), isLeader: v.boolean(), isReachable: v.boolean(), isCurrent: v.boolean() })),
      "The nats-servers that keep it; empty for a single one",
    ),
  }),
);

const BackupView = named(
  "ClusterBackup",
  "The newest archive in the leader's directory of backups",
  v.object({ at: v.string(), bytes: v.number(), file: doc(v.string(), "Its path on the leader's machine") }),
);

const ClusterView = named(
  "Cluster",
  "The nodes of a cluster",
  v.object({
    name: v.string(),
    leader: v.string(),
    term: doc(v.number(), "Counts the leaders"),
    nodes: doc(v.array(Node), "The leader first, then every other node that it has heard"),
    log: doc(v.nullable(LogView), "Null: the servers do not answer"),
    takeOver: doc(v.nullable(TakeOverView), "Null: the cluster had no leader before"),
    drill: doc(v.nullable(TakeOverDrillView), "Null: there was none yet"),
    comparison: doc(v.nullable(ComparisonView), "The last one; null: there was none yet"),
    backup: doc(v.nullable(BackupView), "Null: this machine has none there"),
    warnings: v.array(v.string()),
  }),
);

const StateReply = v.object({
  mode: doc(
    v.picklist(["single", "cluster", "no-leader"]),
    "`single`: this server is no node of a cluster; `no-leader`: this node pages people from a copy of its database",
  ),
  cluster: doc(v.nullable(ClusterView), "Null: `mode` is not `cluster`"),
});
export type StateReply = v.InferOutput<typeof StateReply>;

const StepDownBody = example(
  object({
    to: doc(
      v.optional(text(40, 1)),
      "Node that leads next; default: the live node with room on its disk that has applied most",
    ),
  }),
  { to: "b" },
);

const DrillBody = example(
  object({ users: doc(v.optional(DrillUsers), "Who gets the test pages; default: the caller") }),
  { users: ["ada"] },
);

/** Several machines, seen by the leader: state, hand-over, metrics, notices. */
export const clusterFeature = feature("cluster", {
  needs: ["cluster", "notify", "drills", "projects"],
  open({ cluster, metrics }) {
    cluster?.registerMetrics(metrics);
    return {};
  },
  register(server, parts) {
    const { cluster, config, audit, log, db, clock, drills, projects } = parts;
    const context = { ...drills.parts, projects, drills };
    server.route({
      ...shared,
      method: "GET",
      path: "/api/v1/cluster",
      id: "getCluster",
      summary: "Get the nodes of the cluster, its log and its last take-over",
      response: StateReply,
      async handle() {
        // Only a process that pages without a leader begins its pages with a warning.
        if (cluster === null) return { mode: pageWarning() === "" ? "single" : "no-leader", cluster: null } as const;
        const logState = await cluster.log().catch((err: unknown) => {
          log.warn({ err }, "the servers of the cluster's log do not answer");
          return null;
        });
        const [drill, comparison] = await Promise.all([readTakeOverDrill(db.read), readComparison(db.read)]);
        const state = viewOf(cluster, logState);
        return {
          mode: "cluster",
          cluster: {
            ...state,
            drill: drill && drillView(drill),
            comparison: comparison && comparisonView(comparison),
            backup: newestBackup(join(config.dataDir, BACKUPS_DIR)),
            warnings: [...state.warnings, ...comparisonWarnings(comparison)],
          },
        } as const;
      },
    });
    server.route({
      ...shared,
      method: "POST",
      path: "/api/v1/cluster/step-down",
      id: "stepDownCluster",
      summary: "Hand the leadership of the cluster over to another node",
      details:
        "Requests through the other nodes wait meanwhile, WebSockets close with 1012. The leader ends its work in order, and follows.",
      body: StepDownBody,
      status: 202,
      response: v.object({ from: v.string(), to: v.string() }),
      errors: ["NO_STANDBY"],
      async handle(_exchange, { body }) {
        if (cluster === null) throw new PrismError("NO_STANDBY", "This server is no node of a cluster");
        const { node: from } = cluster;
        const to = cluster.standby(body.to);
        await audit.record({ action: "cluster.step_down", resourceType: "cluster", metadata: { from, to } });
        cluster.stepDown(to);
        return { from, to };
      },
    });
    server.route({
      ...shared,
      method: "POST",
      path: "/api/v1/cluster/drill",
      id: "drillCluster",
      summary: "End the leader as if its machine were lost, while test pages are on their way",
      details:
        "Another node takes over, sends the pages, and notes how long no node led. The process of the leader starts " +
        "again after 15 s. Requests meanwhile wait at the other nodes; those at the leader get no answer.",
      body: DrillBody,
      status: 202,
      response: TakeOverDrillView,
      errors: ["NO_STANDBY", "RECIPIENT_NOT_FOUND", "UNAUTHORIZED_ROLE", "INVALID_STATE"],
      async handle(exchange, { body: { users } }) {
        if (cluster === null) throw new PrismError("NO_STANDBY", "This server is no node of a cluster");
        cluster.standby(undefined);
        const { node: from } = cluster;
        const startedAt = clock.now();
        // The next leader sends the pages: this one calls no service any more.
        const release = holdActing();
        const storing = db.write(async (trx) => {
          const people = users === undefined ? {} : { users };
          const { data } = await startDrills(context, holderOf(exchange), { ...people, now: true }, trx);
          const started = { startedAt, from, drills: data.map(({ id }) => id), result: null };
          await storeTakeOverDrill(trx, started, startedAt);
          await audit.record({ action: "cluster.drill", resourceType: "cluster", metadata: { from } }, { trx });
          return started;
        });
        const drill = await storing.catch((error: unknown) => {
          release();
          throw error;
        });
        cluster.endAsLost();
        return drillView(drill);
      },
    });
    server.route({
      ...shared,
      method: "POST",
      path: "/api/v1/cluster/compare",
      id: "compareCluster",
      summary: "Compare the tables of all nodes at the same record of the log",
      details:
        "Each node computes a digest of every table. The answer comes when all have done so, which takes minutes for " +
        "a large database; `GET /api/v1/cluster` has it too. Writes wait for a moment, at most two seconds.",
      response: ComparisonView,
      errors: ["NO_STANDBY", "INVALID_STATE"],
      async handle() {
        if (cluster === null) throw new PrismError("NO_STANDBY", "This server is no node of a cluster");
        const comparison = comparisonView(await compareCluster(cluster, db, clock.now()));
        const { sequence, nodes } = comparison;
        await audit.record({ action: "cluster.compare", resourceType: "cluster", metadata: { sequence, nodes } });
        return comparison;
      },
    });
    server.route({
      ...shared,
      method: "DELETE",
      path: "/api/v1/cluster/nodes/:name",
      id: "removeClusterNode",
      summary: "Let the cluster no longer expect a node that is gone for good",
      details: "If that node starts again, it is listed again.",
      params: object({ name: text(40, 1) }),
      status: 204,
      errors: ["NOT_FOUND", "INVALID_STATE"],
      async handle(_exchange, { params: { name } }) {
        if (cluster === null) throw new PrismError("NOT_FOUND", "This server is no node of a cluster");
        cluster.remove(name);
        await audit.record({ action: "cluster.remove", resourceType: "cluster", metadata: { node: name } });
      },
    });
  },
  start({ cluster, storage, ...parts }) {
    if (cluster === null) return;
    const { db, clock, log } = parts;
    db.write(async (trx) => {
      await noteFirstLeader(trx, clock.now());
      await endTakeOverDrill(trx, cluster, clock.now());
    }).catch((err: unknown) => log.warn({ err }, "cannot store facts of the drill"));
    const notices = new ClusterNotices(cluster, parts);
    const looks = periodic({
      everyMs: LOOK_MS,
      work() {
        if (storage.problem === "disk" && cluster.leaveFullDisk()) void looks.stop();
        // A full disk is left also while a notice cannot be written.
        else void notices.look();
      },
    });
    looks.start();
    parts.events.on("system:stopping", () => void looks.stop());
  },
});

function viewOf(cluster: ClusterLead, log: Awaited<ReturnType<ClusterLead["log"]>> | null) {
  const { takeOver } = cluster;
  return {
    name: cluster.cluster,
    leader: cluster.node,
    term: cluster.term,
    nodes: cluster.nodes().map(nodeView),
    log: log && { ...log, servers: [...log.servers] },
    takeOver: takeOver && {
      at: toRfc3339(takeOver.at),
      from: takeOver.from,
      withoutLeaderMs: takeOver.withoutLeaderMs,
      kind: takeOver.isHandedOver ? ("handed-over" as const) : ("lost" as const),
    },
    warnings: [
      ...cluster.conditions().map(({ text: warning }) => warning),
      ...(log === null ? ["The servers of the log do not answer"] : []),
    ],
  };
}

function newestBackup(dir: string) {
  const [name] = existsSync(dir) ? archivesIn(dir) : [];
  const at = archiveTime(name ?? "");
  if (name === undefined || at === undefined) return null;
  const file = join(dir, name);
  return { at: toRfc3339(at), bytes: statSync(file, { throwIfNoEntry: false })?.size ?? 0, file };
}

function nodeView({ isLeader, isLive, mayLead, hasSameTokens: _, hasRoom: _room, heardAt, ...node }: NodeState) {
  const role = isLeader ? "leader" : mayLead ? "follower" : "standby";
  return { ...node, role, live: isLive, heardAt: toRfc3339(heardAt) } as const;
}

/** Tells administrators once what the cluster lacks, and once when that is over; and when a drill is due. */
export class ClusterNotices {
  readonly #cluster: Pick<ClusterLead, "conditions" | "lookAtServers">;
  readonly #parts: Pick<Context<"notify">, "db" | "clock" | "log" | "notify">;
  #told = new Map<string, ClusterCondition>();

  constructor(
    cluster: Pick<ClusterLead, "conditions" | "lookAtServers">,
    parts: Pick<Context<"notify">, "db" | "clock" | "log" | "notify">,
  ) {
    this.#cluster = cluster;
    this.#parts = parts;
  }

  async look(): Promise<void> {
    // Without an answer most of them are gone, and this node leads no longer soon.
    await this.#cluster.lookAtServers().catch(() => undefined);
    const conditions = this.#cluster.conditions();
    const due = new Map(conditions.flatMap((each) => (each.isDue ? [[each.key, each] as const] : [])));
    const before = this.#told;
    this.#told = due;
    const now = this.#parts.clock.now();
    try {
      await this.#askForDrill();
      for (const [key, { text: title, since }] of due)
        if (!before.has(key)) await this.#tell(title, `Since ${toRfc3339(since)}.`);
      for (const [key, { over: title, since }] of before)
        if (!due.has(key)) await this.#tell(title, `It lasted ${spanText(now - since)}.`);
    } catch (err) {
      this.#told = before;
      this.#parts.log.warn({ err }, "cannot tell administrators about the cluster");
    }
  }

  /** Every month without a drill. */
  async #askForDrill(): Promise<void> {
    const { db, clock } = this.#parts;
    const now = clock.now();
    const dueAt = await drillDueAt(db.read);
    if (dueAt === null || now < dueAt) return;
    const isFirst = (await readTakeOverDrill(db.read)) === null;
    const state = isFirst ? "was never drilled" : "was last drilled over a month ago";
    await this.#tell(`The loss of a machine ${state}: prism drill --takeover`, `Since ${toRfc3339(dueAt)}.`);
    await db.write((trx) => noteAskedForDrill(trx, now));
  }

  async #tell(title: string, lasted: string): Promise<void> {
    const { db, log, notify } = this.#parts;
    log.warn({ state: title }, "the state of the cluster has changed");
    const recipients = (await administrators(db.read)).map(({ id }) => id);
    if (recipients.length === 0) return;
    const message = `${lasted} The page Cluster of the console and prism cluster status show the nodes.`;
    await notify.send({ recipients, title, message, priority: PRIORITY, data: {} });
  }
}
