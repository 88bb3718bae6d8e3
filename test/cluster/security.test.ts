import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import test, { describe } from "node:test";
import { setTimeout } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { parse } from "yaml";
import { connectNats, NatsLog } from "../../src/cluster/log/nats-log.ts";
import { recordBox } from "../../src/cluster/log/record.ts";
import { type NodeBeat, natsSignals } from "../../src/cluster/signals.ts";
import { makeCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { PASSWORD, startSecured } from "./support/nats.ts";
import { type ClusterNode, makeCluster } from "./support/nodes.ts";
import { other, sendEvent } from "./support/sending.ts";

const deploy = join(import.meta.dirname, "../../deploy/cluster");

const METRICS_TOKEN = "a metrics token of the tests";

/* At the same time: mostly they wait. */
describe("security between nodes", { concurrency: true }, () => {
  test("a cluster forms by TLS and an account of its own; another account sees nothing of it", async (t) => {
    const { server, caFile } = await startSecured(t);
    const cluster = await makeCluster(t, [server], ["a", "b"], {
      PRISM_CLUSTER_CA_FILE: caFile,
      PRISM_CLUSTER_USER: "prism",
      PRISM_CLUSTER_PASSWORD: PASSWORD,
      PRISM_METRICS_TOKEN: METRICS_TOKEN,
    });
    const stranger = await connect({ servers: server.address, user: "other", pass: "other", tls: { caFile } });
    t.after(() => stranger.close());
    const seen: string[] = [];
    stranger.subscribe(">", { callback: (_error, { subject }) => void seen.push(subject) });
    await Promise.all(cluster.nodes.map((node) => node.start()));
    const leader = await cluster.leader();
    const token = await cluster.token();
    await sendEvent(leader, token, "a");
    await cluster.requireEqual();
    await setTimeout(600);
    assert.deepEqual(
      seen.filter((subject) => subject.startsWith("prism")),
      [],
    );
    for (const subject of ["prism.prism.log", "prism.prism.beat", "prism.prism.snapshot"])
      stranger.publish(subject, "x");
    const streams = await stranger.request("$JS.API.STREAM.NAMES", "");
    assert.deepEqual((streams.json() as { streams: string[] | null }).streams ?? [], []);
    await stranger.request("$JS.API.STREAM.DELETE.prism_prism", "").then((reply) => {
      assert.match(reply.string(), /stream not found/);
    });
    await sendEvent(leader, token, "a");
    await cluster.requireEqual();
    for (const node of cluster.nodes) {
      assert.ok(!node.output.includes(PASSWORD));
      const scraped = async (headers: Record<string, string>): Promise<number> =>
        (await fetch(`${node.url}/metrics`, { headers: { "X-Forwarded-For": "203.0.113.7", ...headers } })).status;
      assert.equal(await scraped({}), 401, `${node.name} shows metrics to a stranger`);
      assert.equal(await scraped({ Authorization: `Bearer ${METRICS_TOKEN}` }), 200, node.name);
    }
    const allowed = await leader.run("cluster", "status");
    assert.equal(allowed.code, 0, allowed.stderr);

    leader.set({ PRISM_CLUSTER_PASSWORD: "wrong" });
    const [wrong, leave, doctor] = await Promise.all([
      leader.run("cluster", "status"),
      leader.run("cluster", "leave", "--yes"),
      leader.run("doctor"),
    ]);
    assert.equal(wrong.code, 3);
    assert.match(wrong.stderr, /the nats-servers refuse the user of this node/);
    assert.deepEqual([leave.code, /refuse the user of this node/.test(leave.stderr)], [3, true], leave.stderr);
    assert.match(doctor.stdout, /FAIL +nats-server +\S+ does not answer: it refuses the user of this node/);
    const elsewhere = join(temporaryDir(t), "ca.crt");
    writeFileSync(elsewhere, makeCertificate().cert);
    leader.set({ PRISM_CLUSTER_PASSWORD: PASSWORD, PRISM_CLUSTER_CA_FILE: elsewhere });
    // Doctor judges the settings of a server that it can ask.
    const follower = other(cluster, leader);
    follower.set({ PRISM_CLUSTER_CA_FILE: elsewhere });
    const [untrusted, doubtful] = await Promise.all([leader.run("cluster", "status"), follower.run("doctor")]);
    assert.equal(untrusted.code, 4, "a server whose certificate is of another authority");
    assert.match(untrusted.stderr, new RegExp(`no nats-server answers: ${server.address} \\(.*certificate`));
    assert.match(doubtful.stdout, /FAIL +nats-server +\S+ does not answer: .*certificate/);
    leader.set({ PRISM_CLUSTER_CA_FILE: `${elsewhere}.missing` });
    await leader.stop();
    for (const args of [["cluster", "status"], ["serve"]]) {
      const missing = await leader.run(...args);
      assert.deepEqual([missing.code, /cluster\.caFile: \S+ cannot be read/.test(missing.stderr)], [3, true]);
    }
  });

  test("a node passes requests on by https to a leader whose certificate is of the cluster's authority", async (t) => {
    const { server, caFile } = await startSecured(t);
    const { cert, key } = makeCertificate();
    const dir = temporaryDir(t);
    const [certFile, keyFile] = [join(dir, "node.crt"), join(dir, "node.key")];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    writeFileSync(caFile, `${readFileSync(caFile, "utf8")}${cert}`);
    const cluster = await makeCluster(t, [server], ["a", "b"], {
      PRISM_CLUSTER_CA_FILE: caFile,
      PRISM_CLUSTER_USER: "prism",
      PRISM_CLUSTER_PASSWORD: PASSWORD,
      PRISM_TLS_CERT_FILE: certFile,
      PRISM_TLS_KEY_FILE: keyFile,
    });
    for (const node of cluster.nodes) node.set({ PRISM_CLUSTER_ADVERTISE: node.url.replace("http:", "https:") });
    await Promise.all(cluster.nodes.map((node) => node.start()));
    const read = ({ port }: ClusterNode, path: string) =>
      new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
        get({ host: "127.0.0.1", port, path, ca: cert }, (reply) => {
          const chunks: Buffer[] = [];
          reply.on("data", (chunk: Buffer) => chunks.push(chunk));
          reply.on("end", () => resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        }).on("error", reject);
      });
    const standby = await eventually("a node follows a leader", async () => {
      for (const node of cluster.nodes)
        if (/"role":"standby".*"leader":"/.test((await read(node, "/health").catch(() => ({ text: "" }))).text))
          return node;
      return undefined;
    });
    const passed = await read(standby, "/openapi.json");
    assert.equal(passed.status, 200);
    assert.match(passed.text, /"openapi"/);
    const first = other(cluster, standby);
    const { token } = JSON.parse((await read(first, "/dev/token")).text) as { token: string };
    for (const args of [["health"], ["status"], ["cluster", "step-down", "--token", token]]) {
      const done = await standby.run(...args);
      assert.equal(done.code, 0, `${args.join(" ")}: ${done.stderr}${done.stdout}`);
    }
    await eventually("the node that followed leads", async () =>
      /"role":"standby".*"leader":"/.test((await read(first, "/health").catch(() => ({ text: "" }))).text)
        ? true
        : undefined,
    );
    const sent = await first.run("send", "of.node", "--token", token);
    assert.equal(sent.code, 0, sent.stderr);
    const tail = await first.run("tail", "--from", "earliest", "--limit", "1", "--token", token);
    assert.deepEqual([tail.code, /of\.node/.test(tail.stdout)], [0, true], tail.stderr);
    const unknown = await first.run("cluster", "remove", "x", "--token", token);
    assert.deepEqual([unknown.code, /knows no node x \(NOT_FOUND\)$/m.test(unknown.stderr)], [6, true], unknown.stderr);
    const url = standby.url.replace("http:", "https:");
    const named = await first.run("cluster", "remove", "x", "--url", `${url}/`, "--token", token);
    assert.equal(named.code, 6, named.stderr);
  });

  test("the shipped files of a cluster have settings that exist", () => {
    const documented = readFileSync(join(deploy, "../../docs/configuration.md"), "utf8");
    const compose = parse(readFileSync(join(deploy, "compose.yaml"), "utf8"), { merge: true }) as {
      services: Record<string, { environment?: object; command?: string[] }>;
    };
    const lines = readFileSync(join(deploy, "prism-cluster.env"), "utf8");
    // systemd takes a comment behind a value as a part of it.
    assert.doesNotMatch(lines, /^\w+=.*#/m);
    const used = [
      ...Object.values(compose.services).flatMap(({ environment = {} }) => Object.keys(environment)),
      ...[...lines.matchAll(/^(\w+)=/gm)].map(([, name = ""]) => name),
    ];
    assert.ok(used.length > 10);
    for (const name of used) assert.ok(documented.includes(`\`${name}\``), name);
    assert.equal(Object.keys(compose.services).filter((name) => name.startsWith("prism-")).length, 2);
    assert.equal(Object.keys(compose.services).filter((name) => name.startsWith("nats-")).length, 3);
  });

  test("a connection outlasts servers that refuse its password for a while", async (t) => {
    const { server, caFile, setPassword } = await startSecured(t);
    const options = { servers: [server.address], name: "prism", replicas: 1, allowOldServer: false };
    const connection = await connectNats({ ...options, caFile, user: "prism", password: PASSWORD }, "a");
    t.after(() => connection.close());
    let refusals = 0;
    const watching = (async () => {
      for await (const { type } of connection.status()) if (type === "error") refusals++;
    })();
    const restart = async (password: string) => {
      await server.stop();
      setPassword(password);
      await server.start();
    };
    await restart("another password");
    await eventually("it is refused several times", () => refusals > 3);
    await restart(PASSWORD);
    await eventually("it is connected again", () =>
      connection
        .flush()
        .then(() => true)
        .catch(() => false),
    );
    await connection.close();
    await watching;
  });

  test("what a node reads goes on when a permission that was taken away is given back", async (t) => {
    const { server, caFile, setMayRead } = await startSecured(t);
    const options = { servers: [server.address], name: "prism", replicas: 1, allowOldServer: false };
    const account = { caFile, user: "prism", password: PASSWORD };
    const connection = await connectNats({ ...options, ...account }, "a");
    t.after(() => connection.close());
    const log = await NatsLog.open(connection, options);
    await log.create(1);
    const box = recordBox(["the secret of the cluster of the tests"]);
    const signals = natsSignals(connection, "prism", box);
    let heard = 0;
    signals.onBeat(() => heard++);
    const beat = () => signals.send({ node: "b" } as NodeBeat);
    await eventually("beats are heard", () => {
      beat();
      return heard > 0;
    });
    assert.equal(await log.append([Buffer.from("a")], 0), 1);
    let refusals = 0;
    const watching = (async () => {
      for await (const { type } of connection.status()) if (type === "error") refusals++;
    })();
    setMayRead(false);
    await eventually("subscriptions are refused, and again", () => {
      beat();
      return refusals > 2;
    });
    setMayRead(true);
    const before = heard;
    await eventually("beats are heard again", () => {
      beat();
      return heard > before;
    });
    await eventually("the log is read again", () =>
      log
        .last()
        .then(() => true)
        .catch(() => false),
    );
    assert.equal(await log.append([Buffer.from("b")], 1), 2);
    const following = log.follow(0);
    for await (const { sequence } of following) {
      assert.equal(sequence, 1);
      following.stop();
    }
    await connection.close();
    await watching;
  });

  test("a nats-server that is named by its address must have a certificate for that address", async (t) => {
    const { server, caFile } = await startSecured(t, "localhost");
    const port = server.address.split(":")[1];
    const connecting = async (host: string) => {
      const options = { servers: [`${host}:${port}`], name: "prism", replicas: 1, allowOldServer: false };
      const connection = await connectNats({ ...options, caFile, user: "prism", password: PASSWORD }, "a");
      await connection.close();
    };
    await connecting("localhost");
    await assert.rejects(connecting("127.0.0.1"), (error: Error) => /127\.0\.0\.1/.test(String(error.cause ?? error)));
  });
});
