import type { Command } from "commander";
import { contextOf } from "../../context.ts";

export function addCluster(program: Command): void {
  const cluster = program
    .command("cluster")
    .description("nodes of a cluster of several machines")
    .addHelpText(
      "after",
      `
Example:
  $ prism cluster status`,
    );
  cluster
    .command("status")
    .description("list the nodes that are heard, and the log")
    .addHelpText(
      "after",
      `
It listens on the nats-servers of the configuration for two seconds. Exit code 8: no node leads.

Examples:
  $ prism cluster status
  $ prism cluster status --json`,
    )
    .action(async (_flags: object, command: Command) => {
      const { clusterStatus } = await import("./cluster-commands.ts");
      await clusterStatus(contextOf(command));
    });
  cluster
    .command("step-down")
    .description("let another node lead")
    .option("--to <node>", "the node that leads next (default: the one that has applied most of the log)")
    .addHelpText(
      "after",
      `
On the machine of the leader, or with a token at any node. Requests that come meanwhile wait.

Examples:
  $ prism cluster step-down
  $ prism cluster step-down --to b`,
    )
    .action(async (flags: { to?: string }, command: Command) => {
      const { clusterStepDown } = await import("./cluster-commands.ts");
      await clusterStepDown(contextOf(command), flags);
    });
  cluster
    .command("digest")
    .description("print a digest of every table of this node's database")
    .addHelpText(
      "after",
      `
Two nodes at the same position of the log have the same digests.

Examples:
  $ prism cluster digest
  $ prism cluster digest --json > a.json`,
    )
    .action(async (_flags: object, command: Command) => {
      const { clusterDigest } = await import("./cluster-commands.ts");
      await clusterDigest(contextOf(command));
    });
  cluster
    .command("compare")
    .description("compare the tables of all nodes at the same record of the log")
    .addHelpText(
      "after",
      `
On the machine of the leader, or with a token at any node. Exit code 8: a node differs or did not answer.

Examples:
  $ prism cluster compare
  $ prism cluster compare --json`,
    )
    .action(async (_flags: object, command: Command) => {
      const { clusterCompare } = await import("./cluster-commands.ts");
      await clusterCompare(contextOf(command));
    });
  cluster
    .command("remove")
    .description("let the cluster no longer expect a node that is gone for good")
    .argument("<node>", "its name")
    .addHelpText(
      "after",
      `
On the machine of the leader, or with a token at any node. If that node starts again, it is listed again.

Examples:
  $ prism cluster remove b`,
    )
    .action(async (node: string, _flags: object, command: Command) => {
      const { clusterRemove } = await import("./cluster-commands.ts");
      await clusterRemove(contextOf(command), node);
    });
  addRefused(cluster);
  cluster
    .command("reseed")
    .description("begin a new log with the database of this stopped node, when the log is lost")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      `
Stop all nodes, and use it on the one that has applied most of the log (prism cluster digest shows it), or
after prism restore. Then start that node, and use prism cluster join on the others.

Examples:
  $ prism cluster reseed
  $ prism cluster reseed --yes`,
    )
    .action(async (flags: { yes?: boolean }, command: Command) => {
      const { clusterReseed } = await import("./cluster-commands.ts");
      await clusterReseed(contextOf(command), flags);
    });
  cluster
    .command("join")
    .description("put the database of this stopped node aside, and copy the leader's at the next start")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      `
For a node with a database that differs from the log. An empty node copies the database by itself.

Examples:
  $ prism cluster join
  $ prism cluster join --yes`,
    )
    .action(async (flags: { yes?: boolean }, command: Command) => {
      const { clusterJoin } = await import("./cluster-commands.ts");
      await clusterJoin(contextOf(command), flags);
    });
  cluster
    .command("init")
    .description("make the database of this stopped server the first one of a new cluster")
    .addHelpText(
      "after",
      `
The other nodes start with empty data directories, and copy the database from this one.

Examples:
  $ prism cluster init
  $ prism cluster init --data-dir /var/lib/prism`,
    )
    .action(async (_flags: object, command: Command) => {
      const { clusterInit } = await import("./cluster-commands.ts");
      await clusterInit(contextOf(command));
    });
  cluster
    .command("leave")
    .description("let the database of this stopped node go on without a cluster")
    .option("--standalone", "go on as a single server: the one way to leave, so it may be left out")
    .option("--without-records", "also when the log has records that this database lacks: they are lost")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      `
Use it on one node only, and stop the others: two servers that go on alone no longer have the same data.

Examples:
  $ prism cluster leave --standalone
  $ prism cluster leave --yes`,
    )
    .action(async (flags: { yes?: boolean; withoutRecords?: boolean }, command: Command) => {
      const { clusterLeave } = await import("./cluster-commands.ts");
      await clusterLeave(contextOf(command), flags);
    });
}

function addRefused(cluster: Command): void {
  const refused = cluster
    .command("refused")
    .description("list requests that this node took without a leader, and that the next leader refused")
    .argument("[names...]", "names, or how they begin (default: all)")
    .addHelpText(
      "after",
      `
Examples:
  $ prism cluster refused
  $ prism cluster refused --json`,
    )
    .action(async (names: string[], _flags: object, command: Command) => {
      const { clusterRefused } = await import("./cluster-refused.ts");
      await clusterRefused(contextOf(command), names);
    });
  refused
    .command("send")
    .description("send them to the leader again")
    .argument("[names...]", "names, or how they begin (default: all)")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      `
The node must run. Exit code 8: the leader refuses one again.

Examples:
  $ prism cluster refused send
  $ prism cluster refused send 000000000007 --yes`,
    )
    .action(async (names: string[], flags: { yes?: boolean }, command: Command) => {
      const { sendRefused } = await import("./cluster-refused.ts");
      await sendRefused(contextOf(command), names, flags);
    });
  refused
    .command("delete")
    .description("delete them for good")
    .argument("[names...]", "names, or how they begin (default: all)")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      `
Examples:
  $ prism cluster refused delete
  $ prism cluster refused delete 000000000007 --yes`,
    )
    .action(async (names: string[], flags: { yes?: boolean }, command: Command) => {
      const { removeRefused } = await import("./cluster-refused.ts");
      await removeRefused(contextOf(command), names, flags);
    });
}
