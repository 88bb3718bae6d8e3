import { request } from "node:https";
import { connect, type TLSSocket } from "node:tls";

export interface HttpsReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface HttpsRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The client's own address, such as 127.0.0.2. */
  readonly from?: string;
  /** Called with each part of the body; the request ends when it returns true. */
  readonly until?: (body: string) => boolean;
}

/** One request to a server on this machine with a certificate of its own. */
export function httpsRequest(url: string, ca: string, options: HttpsRequest = {}): Promise<HttpsReply> {
  const { method = "GET", headers = {}, body, from, until } = options;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
    const sent = request(
      url,
      { method, headers: { ...length, ...headers }, ca, agent: false, ...(from ? { localAddress: from } : {}) },
      (reply) => {
        let text = "";
        const end = (): void => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: text });
        reply.setEncoding("utf8");
        reply.on("data", (part: string) => {
          text += part;
          if (until?.(text) !== true) return;
          end();
          sent.destroy();
        });
        reply.on("end", end);
        reply.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Sends bytes as they are. @returns all that comes until the connection ends. */
export function rawOverTls(port: number, ca: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket: TLSSocket = connect({ port, host: "127.0.0.1", ca }, () => socket.write(bytes));
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.on("close", () => resolve(text));
    socket.on("error", (error) => (text === "" ? reject(error) : undefined));
  });
}
