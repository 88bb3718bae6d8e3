import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { PASSWORD } from "../features/access/sessions/support/auth-client.ts";
import { chanceOf } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { keepsPromise } from "../helpers/promise.ts";
import type { Follower, FollowerKind, FollowTarget } from "./support/kills/ledger.ts";
import { LIBRARY_FOLLOWERS } from "./support/kills/library-followers.ts";
import { NumberedLoad } from "./support/kills/numbered-load.ts";
import { PUSHER_FOLLOWER } from "./support/kills/pusher-follower.ts";
import { SOCKET_FOLLOWERS } from "./support/kills/socket-followers.ts";
import { SOCKETIO_FOLLOWERS } from "./support/kills/socketio-followers.ts";
import { SpawnedServer } from "./support/spawned-server.ts";

const KILLS = process.env["TEST_ALL_RUNS"] ? 20 : 8;
/** How long the server lives before it is killed. */
const LIFE_MS = [150, 1600] as const;
const USERS = ["uma", "vic"];
const KINDS = [...SOCKET_FOLLOWERS, ...LIBRARY_FOLLOWERS, ...SOCKETIO_FOLLOWERS, PUSHER_FOLLOWER];
const PUSHER_KEY = "key-of-a-test";
const ENVIRONMENT = {
  PRISM_RATE_LIMIT_ENABLED: "false",
  PRISM_AUTH_BCRYPT_COST: "4",
  PRISM_PUSHER_APP_ID: "1",
  PRISM_PUSHER_KEY: PUSHER_KEY,
  PRISM_PUSHER_SECRET: "secret-of-a-test-000",
};
/** `pusher-js` waits a while after a connection that was refused, and a busy machine does, too. */
const CATCH_UP_MS = 100_000;

interface Followed {
  readonly name: string;
  readonly follows: FollowerKind["follows"];
  readonly follower: Follower;
}

test(`S1-03, S2-130, S2-131, S3-13: a server killed ${KILLS} times under load: every client of every protocol receives everything, in order`, async (t) => {
  keepsPromise(t, ["S1-03", "S3-13"]);
  const random = chanceOf(t);
  const server = await SpawnedServer.start(t, ENVIRONMENT);
  const targets = await makePeople(server);
  const [first] = targets;
  assert.ok(first);
  const followed = follow(targets);
  t.after(() => Promise.all(followed.map(({ follower }) => follower.close())));
  const load = new NumberedLoad(first, server.target.projectId, random);

  for (let kill = 1; kill <= KILLS; kill++) {
    await wait(random.integer(...LIFE_MS));
    // On a slow machine no client may have connected before: at the last kill each must reconnect.
    if (kill === KILLS) await allHaveConnected(followed);
    await server.kill();
    await server.run();
  }
  await load.stop();

  const wanted = { events: load.events, notifications: load.events, tasks: load.tasks };
  for (const { name, follows, follower } of followed) {
    const { ledger } = follower;
    const isDone = () => (ledger.count >= wanted[follows] && ledger.connections > 1) || ledger.faults.length > 0;
    await eventually(`${name}, again: ${wanted[follows]}, not ${ledger.count}`, isDone, CATCH_UP_MS);
    assert.deepEqual(ledger.faults, [], name);
    assert.equal(ledger.count, wanted[follows], name);
    t.diagnostic(`${name}: ${ledger.count}, ${ledger.connections} connections, ${ledger.duplicates} duplicates`);
  }
  assert.ok(load.repeated > 0, "requests were cut off");
});

async function allHaveConnected(followed: readonly Followed[]): Promise<void> {
  for (const { name, follower } of followed)
    await eventually(`${name} has connected`, () => follower.ledger.connections > 0, CATCH_UP_MS);
}

/** Users of the project, and the rule that notifies all of them of every event. */
async function makePeople(server: SpawnedServer): Promise<FollowTarget[]> {
  const { url, projectId } = server.target;
  const ids: string[] = [];
  for (const username of USERS) {
    const { id } = await server.post<{ id: string }>("/api/v1/users", {
      username,
      roles: ["Admin"],
      password: PASSWORD,
    });
    ids.push(id);
  }
  await server.post("/api/v1/rules", {
    name: "ticks",
    condition: 'event.type == "tick"',
    titleTemplate: "{{event.payload.n}}",
    targetUsers: ids,
  });
  return Promise.all(
    ids.map(async (userId) => {
      const reply = await fetch(`${url}/dev/token?user=${userId}`);
      const { token } = (await reply.json()) as { token: string };
      return { url, token, userId, projectId, pusherKey: PUSHER_KEY };
    }),
  );
}

/**
 * Each user has a client of each kind that gets notifications; events and tasks are the same for
 * all, so one user has those.
 */
function follow(targets: readonly FollowTarget[]): Followed[] {
  return KINDS.flatMap((kind) => {
    const users = kind.follows === "notifications" ? targets : targets.slice(0, 1);
    return users.map((target, i) => {
      return { name: `${kind.name} of ${USERS[i]}`, follows: kind.follows, follower: kind.follow(target) };
    });
  });
}
