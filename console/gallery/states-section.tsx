import { Bell, Inbox, Plus } from "lucide";
import {
  Avatar,
  Badge,
  Banner,
  Button,
  Card,
  EmptyState,
  ErrorState,
  Meter,
  Progress,
  Secret,
  Skeleton,
  StatCard,
  StatusDot,
  type Tone,
  toast,
} from "../ui/index.ts";
import { HOSTILE } from "./samples.ts";

const TONES: readonly Tone[] = ["ok", "bad", "warn", "info", "plain"];
const ERROR = Object.assign(new Error("The database is busy"), { code: "STORAGE_BUSY", requestId: "01HZX4QY7M" });

/** Notices of a part of a page. */
export function StatesSection() {
  return (
    <>
      <Card title="Words with a colour">
        <div class="stack">
          <div class="inline">
            {TONES.map((tone) => (
              <Badge tone={tone} key={tone}>
                {tone}
              </Badge>
            ))}
            <Badge tone="bad" icon={Bell}>
              critical
            </Badge>
            <Badge tone="plain">{HOSTILE.rightToLeft}</Badge>
          </div>
          <div class="inline">
            {TONES.map((tone) => (
              <StatusDot tone={tone} key={tone}>
                {tone}
              </StatusDot>
            ))}
            <StatusDot tone="ok" pulse>
              live
            </StatusDot>
            <Avatar name="Anna Koch" />
            <Avatar name="ben@example.org" size={32} />
            <Avatar name={HOSTILE.rightToLeft} />
            <Avatar name={HOSTILE.emoji} size={40} />
          </div>
        </div>
      </Card>
      <div class="stack s2">
        <Banner
          tone="info"
          title="A new version is ready"
          action={<Button small>Reload</Button>}
          onDismiss={() => undefined}
        >
          Prism 0.2.0 was installed 3 min ago.
        </Banner>
        <Banner tone="warn">You are offline. This is what was known at 14:02.</Banner>
        <Banner tone="bad" title="The rule was not saved">
          {HOSTILE.long}
        </Banner>
        <Banner tone="ok" title="All 12 checks passed" />
        <Banner tone="plain">The page shows the last 7 days.</Banner>
      </div>
      <div class="grid2">
        <Card flush>
          <EmptyState
            icon={Inbox}
            title="No notifications yet"
            text="What rules send to you appears here. A first rule takes a minute."
            command="prism events send host.down --payload '{}'"
            action={
              <Button variant="primary" icon={Plus}>
                New rule
              </Button>
            }
          />
        </Card>
        <Card flush>
          <ErrorState error={ERROR} title="The jobs could not be loaded" retry={() => Promise.reject(ERROR)} />
        </Card>
      </div>
      <div class="grid2">
        <Card title="Loading">
          <div class="stack">
            <Skeleton count={3} />
            <Skeleton kind="text" count={3} />
            <Skeleton kind="cards" count={2} />
          </div>
        </Card>
        <Card title="Progress">
          <div class="stack">
            <Progress label="Import" value={0.42} showValue />
            <Progress label="Running" />
            <Meter label="Disk" value={8.1} max={10} text="8.1 of 10 GB" tone="warn" />
            <Meter label="Queue" value={120} max={10000} text="120 of 10 000" />
            <div class="grid2">
              <StatCard label="Loading" value="0" loading spark={[]} />
              <StatCard
                label="Failures"
                value="7"
                sub="today"
                delta={0.4}
                deltaGood="down"
                tone="bad"
                spark={[1, 2, 2, 4, 7]}
              />
            </div>
          </div>
        </Card>
      </div>
      <Secret
        label="API key deploy"
        value="prism_live_4f9c2b7ae1d04c8f9b3e6a5d7c1f2e8b"
        onStored={() => toast.ok("Stored")}
      />
    </>
  );
}
