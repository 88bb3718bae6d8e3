import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { request as secureRequest } from "node:https";
import { join } from "node:path";
import type { Command } from "commander";
import type { Config } from "../../../config/load.ts";
import { localUrlOf } from "../../../config/public-url.ts";
import { CONTROL_SOCKET, withSocketPath } from "../../../core/listening.ts";
import { socketState } from "../../../remote/control-transport.ts";
import { refuseUrl } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { single } from "../../resource.ts";

const TIMEOUT_MS = 5000;

/** For a container's HEALTHCHECK: quick, without credentials, and without curl in the image. */
export function addHealth(program: Command): void {
  single(program, "health", {
    text: "check that the server of the data directory answers; exits 4 or 8 if not",
    examples: ["", "--ready"],
    flags: { ready: ["--ready", "also check that it accepts requests: /health/ready instead of /health/live"] },
    async act(context, { ready }) {
      refuseUrl(context, "health");
      const { config } = context.loadConfig("none");
      const path = ready ? "/health/ready" : "/health/live";
      const socket = join(config.dataDir, CONTROL_SOCKET);
      // A node that follows has no socket, and answers at its port.
      const asksPort = config.cluster.servers.length > 0 && (await socketState(socket)) === "none";
      const status = await (asksPort ? probePort(config, path) : probe(socket, path));
      if (status !== 200) throw new CommandError(EXIT.checkFailed, `${path} answers ${status}`);
      context.out.result({ path, status }, () => `${path} answers ${status}`);
    },
  });
}

/** @returns the status of the answer. @throws CommandError 4 */
function probe(socket: string, path: string): Promise<number> {
  const headers = { Host: "localhost" };
  return answerOf(socket, (onReply) =>
    withSocketPath(socket, (socketPath) => request({ socketPath, path, headers, timeout: TIMEOUT_MS }, onReply)),
  );
}

/** Nothing secret is sent, and the certificate need not have this address. */
function probePort(config: Config, path: string): Promise<number> {
  const url = new URL(path, localUrlOf(config, config.port));
  return answerOf(url.origin, (onReply) =>
    url.protocol === "https:"
      ? secureRequest(url, { rejectUnauthorized: false, timeout: TIMEOUT_MS }, onReply)
      : request(url, { timeout: TIMEOUT_MS }, onReply),
  );
}

function answerOf(where: string, send: (onReply: (reply: IncomingMessage) => void) => ClientRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = send((reply) => {
      reply.resume();
      reply.on("end", () => resolve(reply.statusCode ?? 0));
    });
    sent.on("timeout", () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    sent.on("error", (cause) =>
      reject(new CommandError(EXIT.unreachable, `no server answers at ${where}: ${cause.message}`, { cause })),
    );
    sent.end();
  });
}
