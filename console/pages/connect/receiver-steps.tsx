import type { IssuedReceiver, ReceiverPreset, ReceiverRequest } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useGet } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import { Button, Card, EmptyState, Secret, Skeleton } from "../../ui/index.ts";
import { docsUrl } from "./connect-types.ts";
import { FirstRequest } from "./first-request.tsx";
import { SetupLines } from "./setup-lines.tsx";

interface UrlProps {
  readonly preset: ReceiverPreset;
  readonly receiver: IssuedReceiver;
  readonly onDone: () => void;
}

export function UrlStep({ preset, receiver: { url, mailAddress }, onDone }: UrlProps) {
  return (
    <Card title="Set up the sender" link={{ href: docsUrl(preset), text: "Manual" }}>
      <div class="stack">
        {mailAddress !== null && <Secret label="Mail address" value={mailAddress} hint="Mail to it is received." />}
        <Secret
          label="URL"
          value={url}
          hint="It is a credential and is shown only now; a lost one can be replaced on the receiver's page."
        />
        <SetupLines lines={preset.setup} url={url} mailAddress={mailAddress} />
        <div>
          <Button variant="primary" onClick={onDone}>
            Wait for the first request
          </Button>
        </div>
      </div>
    </Card>
  );
}

export function WaitStep({ receiver: { id } }: { readonly receiver: IssuedReceiver }) {
  const query = useGet<{ readonly data: readonly ReceiverRequest[] }>(`/receivers/${id}/requests`, { limit: 1 });
  const [first] = query.data?.data ?? [];
  useRefresh(() => first === undefined && query.reload(), POLL_MS, POLL_MS);
  const open = (
    <Button variant="primary" href={href(`/connect/receivers/${id}`)}>
      Open the receiver
    </Button>
  );
  if (first === undefined) {
    return (
      <div class="stack">
        <EmptyState title="Waiting for the first request" text="Let the sender deliver a test. It appears here." />
        <Skeleton kind="text" />
        <div>{open}</div>
      </div>
    );
  }
  return (
    <div class="stack">
      <FirstRequest receiverId={id} request={first} />
      <div>{open}</div>
    </div>
  );
}

/** Requests are not announced by a stream. */
const POLL_MS = 2000;
