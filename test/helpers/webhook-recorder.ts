import { createServer } from "node:http";
import type { TestContext } from "node:test";
import { listening } from "./listening.ts";

/** A request with a body of JSON. */
export interface RecordedPost<T> {
  readonly path: string;
  readonly body: T;
}

/** Takes webhooks and keeps their bodies, in order of arrival. */
export interface WebhookRecorder<T> {
  readonly url: string;
  readonly posts: RecordedPost<T>[];
  /** The status of the answers; posts that are not answered with 200 are not kept. */
  status: number;
}

export async function startRecorder<T>(t: TestContext): Promise<WebhookRecorder<T>> {
  const posts: RecordedPost<T>[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      response.statusCode = recorder.status;
      const body = JSON.parse(Buffer.concat(parts).toString()) as T;
      if (recorder.status === 200) posts.push({ path: request.url ?? "", body });
      response.end();
    });
  });
  const port = await listening(t, server);
  const recorder: WebhookRecorder<T> = { url: `http://127.0.0.1:${port}`, posts, status: 200 };
  return recorder;
}
