import { QrCode } from "../../../../app/qr-code.tsx";
import { CopyButton, DescriptionList, Link, UserText } from "../../../../ui/index.ts";
import { subscribeLink } from "./ways.ts";

interface AppTopicProps {
  readonly server: string;
  readonly topic: string;
}

/** A topic for the app of ntfy: to scan, to open on this device, or to type. */
export function AppTopic({ server, topic }: AppTopicProps) {
  const link = subscribeLink(server, topic);
  const url = server.trim().replace(/\/+$/, "");
  return (
    <div class="setup-app">
      {link !== undefined && (
        <div class="setup-qr">
          <QrCode text={link} label={`QR code that subscribes to ${topic}`} />
          <Link href={link}>Open in the app</Link>
        </div>
      )}
      <DescriptionList
        items={[
          { label: "Server", value: <Typed text={url === "" ? "not known yet" : url} /> },
          { label: "Topic", value: <Typed text={topic} /> },
        ]}
      />
    </div>
  );
}

function Typed({ text }: { readonly text: string }) {
  return (
    <span class="inline">
      <UserText mono>{text}</UserText>
      <CopyButton text={text} quiet />
    </span>
  );
}
