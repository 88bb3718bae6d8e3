import { request } from "node:http";
import { join } from "node:path";
import type { Command } from "commander";
import { CONTROL_SOCKET, withSocketPath } from "../../../core/listening.ts";
import { contextOf, refuseUrl } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";

const TIMEOUT_MS = 5000;

/** For a container's HEALTHCHECK: quick, without credentials, and without curl in the image. */
export function addHealth(program: Command): void {
  program
    .command("health")
    .description("check that the server of the data directory answers; exits 4 or 8 if not")
    .option("--ready", "also check that it accepts requests: /health/ready instead of /health/live")
    .addHelpText("after", "\nExamples:\n  $ prism health\n  $ prism health --ready")
    .action(async ({ ready }: { ready?: boolean }, command: Command) => {
      const context = contextOf(command);
      refuseUrl(context, "health");
      const { config } = context.loadConfig("none");
      const path = ready ? "/health/ready" : "/health/live";
      const status = await probe(join(config.dataDir, CONTROL_SOCKET), path);
      if (status !== 200) throw new CommandError(EXIT.checkFailed, `${path} answers ${status}`);
      context.out.result({ path, status }, () => `${path} answers ${status}`);
    });
}

/** @returns the status of the answer. @throws CommandError 4 */
function probe(socket: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = withSocketPath(socket, (socketPath) =>
      request({ socketPath, path, headers: { Host: "localhost" }, timeout: TIMEOUT_MS }, (reply) => {
        reply.resume();
        reply.on("end", () => resolve(reply.statusCode ?? 0));
      }),
    );
    sent.on("timeout", () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    sent.on("error", (cause) =>
      reject(new CommandError(EXIT.unreachable, `no server answers at ${socket}: ${cause.message}`, { cause })),
    );
    sent.end();
  });
}
