import { request } from "node:http";
import { join } from "node:path";
import { CONTROL_SOCKET, withSocketPath } from "../../src/core/listening.ts";

interface SocketReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** A request on the control socket of the server of a data directory, as JSON. */
export function overSocket(
  dir: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<SocketReply> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  // Node gives a DELETE with a body neither a length nor chunks.
  const ofBody = { "Content-Type": "application/json", "Content-Length": String(Buffer.byteLength(text ?? "")) };
  const all = { ...headers, ...(text === undefined ? {} : ofBody) };
  return new Promise((resolve, reject) => {
    withSocketPath(join(dir, CONTROL_SOCKET), (socketPath) => {
      const sent = request({ socketPath, method, path, headers: all, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, text, body: parsed(text) });
        });
      });
      sent.on("error", reject);
      sent.end(text);
    });
  });
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
