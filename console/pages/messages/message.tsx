import { useEffect } from "preact/hooks";
import type { Message } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import type { PageProps } from "../../app/page-module.ts";
import { PersonName } from "../../app/person-name.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { Badge, Button, Card, DescriptionList, Loaded, Page, Time, Timeline, UserText } from "../../ui/index.ts";
import { CANCELLABLE, STATUS } from "./message-types.ts";

interface History {
  readonly attempts: number;
  readonly lastError?: string;
  readonly history: readonly { readonly status: keyof typeof STATUS; readonly at: string }[];
}

export default function MessagePage({ params }: PageProps) {
  const query = useGet<Message>(`/messages/${params["id"]}`);
  return (
    <LoadedPage title="Message" query={query}>
      {(message) => <MessageView message={message} reload={query.reload} />}
    </LoadedPage>
  );
}

function MessageView({ message, reload }: { readonly message: Message; readonly reload: () => void }) {
  const history = useGet<History>(`/messages/${message.id}/status`);
  const isSender = message.senderId === me.value?.id;
  const state = STATUS[message.status];
  useEffect(() => {
    if (isSender || message.status !== "delivered") return;
    void api.patch(`/messages/${message.id}/read`).then(() => invalidate("/messages"));
  }, [message.id]);
  const cancel = async () => {
    const text = "The recipient does not get it.";
    await confirmDelete(
      `/messages/${message.id}`,
      { title: "Cancel this message?", text, action: "Cancel message", done: "The message is cancelled." },
      () => {
        invalidate("/messages");
        reload();
      },
    );
  };
  const isCancellable = isSender && CANCELLABLE.has(message.status);
  return (
    <Page
      title="Message"
      subtitle={isSender ? "You sent this message." : "You received this message."}
      breadcrumb={[{ label: "Messages", href: href("/messages") }]}
      badge={<Badge {...state} />}
      actions={isCancellable ? <Button onClick={cancel}>Cancel message</Button> : undefined}
    >
      <div class="two">
        <Card title="Text">
          <UserText>{message.content ?? "The text is no longer stored."}</UserText>
        </Card>
        <div class="stack">
          <Card title="Delivery">
            <DescriptionList
              items={[
                { label: "From", value: <PersonName id={message.senderId} /> },
                { label: "To", value: <PersonName id={message.recipientId} /> },
                { label: "Due", value: <Time at={message.deliverAt} mode="full" /> },
                { label: "Attempts", value: message.attempts },
                ...(message.lastError === null ? [] : [{ label: "Last error", value: message.lastError }]),
              ]}
            />
          </Card>
          <Card title="History">
            <Loaded query={history}>
              {(data) => (
                <Timeline
                  label="History"
                  items={data.history.map(({ status, at }) => ({
                    key: `${status} ${at}`,
                    tone: STATUS[status].tone,
                    title: STATUS[status].text,
                    time: <Time at={at} mode="clock-ms" />,
                  }))}
                />
              )}
            </Loaded>
          </Card>
        </div>
      </div>
    </Page>
  );
}
