import type { Command } from "commander";
import { nested, resource } from "../../resource.ts";

const commands = () => import("./cluster-commands.ts");

const YES = ["--yes", "do not ask"] as const;

export function addCluster(program: Command): void {
  const cluster = resource(program, "cluster", "", {
    text: "nodes of a cluster of several machines",
    examples: ["cluster status"],
    verbs: {
      status: {
        text: "list the nodes that are heard, and the log",
        about: "It listens on the nats-servers of the configuration for two seconds. Exit code 8: no node leads.",
        examples: ["", "--json"],
        act: async (context) => (await commands()).clusterStatus(context),
      },
      "step-down": {
        text: "let another node lead",
        about:
          "On the machine of the leader, or with a token at any node. Requests through the other nodes wait meanwhile.",
        examples: ["", "--to b"],
        flags: {
          to: [
            "--to <node>",
            "the node that leads next (default: the one with room on its disk that has applied most of the log)",
          ],
        },
        act: async (context, given) => (await commands()).clusterStepDown(context, given),
      },
      digest: {
        text: "print a digest of every table of this node's database",
        about: "Two nodes at the same position of the log have the same digests.",
        examples: ["", "--json > a.json"],
        act: async (context) => (await commands()).clusterDigest(context),
      },
      compare: {
        text: "compare the tables of all nodes at the same record of the log",
        about:
          "On the machine of the leader, or with a token at any node. Exit code 8: a node differs or did not answer.",
        examples: ["", "--json"],
        act: async (context) => (await commands()).clusterCompare(context),
      },
      remove: {
        text: "let the cluster no longer expect a node that is gone for good",
        about:
          "On the machine of the leader, or with a token at any node. If that node starts again, it is listed again.",
        examples: "Examples:\n  $ prism cluster remove b",
        args: { node: ["<node>", "its name"] },
        act: async (context, { node }) => (await commands()).clusterRemove(context, String(node)),
      },
    },
  });
  nested(cluster, {
    reseed: {
      text: "begin a new log with the database of this stopped node, when the log is lost",
      about: `Stop all nodes, and use it on the one that has applied most of the log (prism cluster digest shows it), or
after prism restore. Then start that node, and use prism cluster join on the others.`,
      examples: ["", "--yes"],
      flags: { yes: YES },
      act: async (context, given) => (await commands()).clusterReseed(context, given),
    },
    join: {
      text: "put the database of this stopped node aside, and copy the leader's at the next start",
      about: "For a node with a database that differs from the log. An empty node copies the database by itself.",
      examples: ["", "--yes"],
      flags: { yes: YES },
      act: async (context, given) => (await commands()).clusterJoin(context, given),
    },
    init: {
      text: "make the database of this stopped server the first one of a new cluster",
      about: "The other nodes start with empty data directories, and copy the database from this one.",
      examples: ["", "--data-dir /var/lib/prism"],
      act: async (context) => (await commands()).clusterInit(context),
    },
    leave: {
      text: "let the database of this stopped node go on without a cluster",
      about: "Use it on one node only, and stop the others: two servers that go on alone no longer have the same data.",
      examples: ["--standalone", "--yes"],
      flags: {
        standalone: ["--standalone", "go on as a single server: the one way to leave, so it may be left out"],
        withoutRecords: ["--without-records", "also when the log has records that this database lacks: they are lost"],
        yes: YES,
      },
      act: async (context, given) => (await commands()).clusterLeave(context, given),
    },
  });
}
