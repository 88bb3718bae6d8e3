import { useState } from "preact/hooks";
import type { ChannelTest as TestResult } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { Banner, Button, CodeBlock, UserText } from "../../ui/index.ts";

const CLASSES = {
  ok: { tone: "ok", text: "The service has accepted the message" },
  wait: { tone: "warn", text: "The service asks to wait" },
  retry: { tone: "warn", text: "The service was not reached, or fails; messages are retried" },
  dead: { tone: "bad", text: "The service refuses the message" },
  refused: { tone: "bad", text: "The service refuses the credentials, the address or the room" },
  gone: { tone: "bad", text: "The address does not exist any more" },
  shorten: { tone: "warn", text: "The message is too long" },
  plain: { tone: "warn", text: "The service refuses the markup" },
  resend: { tone: "warn", text: "The earlier message does not exist any more" },
} as const;

/** Sends a test message, or makes its request only. */
export async function testChannel(id: string, dryRun = false): Promise<TestResult> {
  const result = await api.post<TestResult>(`/channels/${id}/test`, { dryRun });
  if (!dryRun) invalidate(`/channels/${id}`);
  return result;
}

/** Sends a test message or shows its request; the result in words. */
export function ChannelTest({ id }: { readonly id: string }) {
  const [result, setResult] = useState<TestResult>();
  const run = async (dryRun: boolean) => setResult(await testChannel(id, dryRun));
  return (
    <div class="stack">
      <div class="inline">
        <Button variant="primary" onClick={() => run(false)}>
          Send a test
        </Button>
        <Button onClick={() => run(true)}>Dry run</Button>
      </div>
      <div class="stack" role="status">
        {result && <Result result={result} />}
      </div>
    </div>
  );
}

/** Whether the service has accepted the message, and if not, why. */
export function TestOutcome({ result }: { readonly result: TestResult }) {
  const { class: name, status, error, hint, cut, ms } = result;
  const { tone, text } =
    name === null ? ({ tone: "info", text: "Nothing was sent: this is the request" } as const) : CLASSES[name];
  return (
    <Banner tone={tone} title={text}>
      <UserText>
        {[
          ...(status === null ? [] : [`Status ${status} after ${ms} ms`]),
          ...(error === null || name === "ok" ? [] : [error]),
          ...(hint === null ? [] : [hint]),
          ...(cut.length === 0 ? [] : [`Shortened: ${cut.join(", ")}`]),
        ].join(". ")}
      </UserText>
    </Banner>
  );
}

function Result({ result }: { readonly result: TestResult }) {
  const { request, answer } = result;
  const head = request === null ? [] : Object.entries(request.headers).map(([key, value]) => `${key}: ${value}`);
  return (
    <>
      <TestOutcome result={result} />
      {request !== null && (
        <CodeBlock
          wrap
          label="Request"
          text={[`${request.method} ${request.url}`, ...head, "", request.body ?? ""].join("\n")}
        />
      )}
      {answer !== null && answer !== "" && <CodeBlock wrap label="Answer" text={answer} />}
    </>
  );
}
