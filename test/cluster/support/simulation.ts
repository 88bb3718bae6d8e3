import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { LEASE_MS } from "../../../src/cluster/lead/lease.ts";
import type { StatementCache } from "../../../src/store/sqlite/connection.ts";
import { Random } from "../../helpers/chance.ts";
import { OpenBox } from "./open-box.ts";
import { SimulatedLog } from "./simulated-log.ts";
import { SimulatedNode, type World, type Write } from "./simulated-node.ts";
import { VirtualTime } from "./virtual-time.ts";

/** Faults of the first design (findings CL-2, CL-3, CL-5), which a simulation must find. */
export type Fault = "CL-2" | "CL-3" | "CL-5";

const BOX = new OpenBox([new Uint8Array(32)]);
const NAMES = ["a", "b", "c"];
const MOST_EVENTS = 40;
/** Longer than anything lasts: a cut, a stop, an outage, the wait of a new leader. */
const HEAL_MS = 60_000;
const HEAL_STEP_MS = 1000;

/**
 * One history of a cluster of three nodes: writes, crashes, stops, cuts, clocks that are set, and
 * slow and full disks, at times that follow from the seed. @returns what must not have happened
 */
export async function runHistory(seed: number, fault?: Fault): Promise<string[]> {
  const chance = new Random(seed);
  const time = new VirtualTime();
  const log = new SimulatedLog(time, chance, fault === "CL-5");
  const problems: string[] = [];
  const nodes: SimulatedNode[] = [];
  const world: World = {
    ...{ time, log, problems, box: BOX },
    lease: fault === "CL-2" ? { holder: "", until: -1, revision: 0 } : null,
    send(beat) {
      for (const node of nodes) {
        const isLost = log.cut.has(beat.node) || log.cut.has(node.name) || chance.integer(1, 50) === 1;
        if (node.name !== beat.node && !isLost) time.after(chance.integer(1, 20), () => node.hear(beat));
      }
    },
    act(node) {
      const other = nodes.find((each) => each !== node && each.workSince !== null && each.term >= node.term);
      if (other) problems.push(`${time.now}: ${node.name} acts while ${other.name} leads`);
      if (time.now - node.sentAt >= LEASE_MS) problems.push(`${time.now}: ${node.name} acts after its lease`);
    },
  };
  for (const name of NAMES) nodes.push(new SimulatedNode(name, world));
  for (const node of nodes) {
    node.skewMs = chance.integer(-20_000, 20_000);
    node.crash();
  }
  const writes: Write[] = [];
  await time.run(chance.integer(3000, 15_000));
  for (let left = chance.integer(5, MOST_EVENTS); left > 0; left--) {
    happen(chance, { world, nodes, writes, fault });
    await time.run(chance.integer(1, 3) === 1 ? chance.integer(1, 8000) : chance.integer(1, 300));
    if (problems.length > 0) break;
  }
  log.heal();
  for (const node of nodes) {
    node.fill(false);
    node.slowMs = 0;
  }
  const ended = fault === "CL-2" ? [] : await untilHealed(time, () => check(nodes, writes));
  problems.push(...ended);
  for (const node of nodes) {
    node.end();
    node.disk.close();
  }
  return problems;
}

interface Scene {
  readonly world: World;
  readonly nodes: readonly SimulatedNode[];
  readonly writes: Write[];
  readonly fault: Fault | undefined;
}

/** One event; half of them are writes. */
function happen(chance: Random, { world, nodes, writes, fault }: Scene): void {
  const { time, log } = world;
  const node = nodes[chance.integer(0, nodes.length - 1)] as SimulatedNode;
  const leader = nodes.find((each) => each.serves) ?? node;
  const target = chance.integer(0, 2) === 0 ? node : leader;
  const ms = chance.integer(50, 15_000);
  const kind = chance.integer(1, 18);
  if (kind <= 9) {
    const write = writeOf(`w${writes.length}`, chance.integer(1, 5), fault === "CL-3");
    writes.push(write);
    send(write, world, nodes, chance.integer(0, 2));
  } else if (kind === 10) target.crash();
  else if (kind === 11) target.stop(ms, false);
  else if (kind === 12) target.stop(ms, true);
  else if (kind === 13) {
    log.cut.add(target.name);
    time.after(ms, () => log.cut.delete(target.name));
  } else if (kind === 14) {
    log.isDown = true;
    time.after(ms, () => {
      log.isDown = false;
    });
  } else if (kind === 15) {
    // Set back by as much as its machine was suspended, the clock would not show it.
    target.skewMs += chance.integer(0, 20_000);
  } else if (kind === 16) {
    target.fill(true);
    time.after(ms, () => target.fill(false));
  } else if (kind === 17) {
    target.slowMs = chance.integer(10, 4000);
    time.after(ms, () => {
      target.slowMs = 0;
    });
  } else if (chance.integer(0, 1) === 0) leader.handOver();
  else {
    log.lossPercent = chance.integer(5, 60);
    time.after(ms, () => {
      log.lossPercent = 2;
    });
  }
}

const AGAIN_MS = 700;

/** A client that asks a node that says it leads, and asks again until its write is acknowledged. */
function send(write: Write, world: World, nodes: readonly SimulatedNode[], preferred: number): void {
  if (write.isAcknowledged) return;
  const serving = nodes.filter((node) => node.serves);
  serving[preferred % Math.max(1, serving.length)]?.write(write);
  world.time.after(AGAIN_MS, () => send(write, world, nodes, preferred + 1));
}

/** @param hidesRollback the fault CL-3: what SQL has refused or taken back is in the log all the same */
function writeOf(id: string, kind: number, hidesRollback: boolean): Write {
  const run = (statements: StatementCache, connection: Sqlite): void => {
    statements.get("insert or ignore into b (id) values (?)").run(id);
    statements
      .get("insert into c (name, count) values (?, 1) on conflict (name) do update set count = count + 1")
      .run(`c${kind}`);
    if (kind === 1) {
      statements.get("savepoint part").run();
      statements.get("insert into a (id, n) values (?, 1)").run(`${id} taken back`);
      if (hidesRollback) SqliteDatabase.prototype.exec.call(connection, "rollback to part");
      else statements.get("rollback to part").run();
      statements.get("release part").run();
    } else if (kind === 2) statements.get("delete from a where id like ? returning id").all(`${id.slice(0, 2)}%`);
    else statements.get("insert or replace into a (id, n) values (?, ?)").run(id, kind);
  };
  return { id, run, isAcknowledged: false };
}

/** @returns what is still wrong after a minute */
async function untilHealed(time: VirtualTime, look: () => string[]): Promise<string[]> {
  let wrong = ["nothing was looked at"];
  for (let waited = 0; wrong.length > 0 && waited < HEAL_MS; waited += HEAL_STEP_MS) {
    await time.run(HEAL_STEP_MS);
    wrong = look();
  }
  return wrong;
}

function check(nodes: readonly SimulatedNode[], writes: readonly Write[]): string[] {
  const problems: string[] = [];
  const [first = "", ...others] = nodes.map(({ disk }) =>
    JSON.stringify(["a", "b", "c"].map((table) => disk.prepare(`select * from ${table} order by 1`).all())),
  );
  others.forEach((other, i) => {
    if (other !== first) problems.push(`the tables of ${NAMES[i + 1]} differ from those of ${NAMES[0]}`);
  });
  if (!nodes.some((node) => node.serves)) problems.push("no node leads in the end");
  for (const { name, disk } of nodes) {
    const ids = new Set(disk.prepare<[], string>("select id from b").pluck().all());
    for (const { id, isAcknowledged } of writes) {
      if (!isAcknowledged) problems.push(`${id} was never acknowledged`);
      else if (!ids.has(id)) problems.push(`${id} was acknowledged, and ${name} does not have it`);
    }
  }
  return problems;
}
