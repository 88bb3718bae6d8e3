import { BellRing } from "lucide";
import { Button, EmptyState } from "../../ui/index.ts";

interface NoAlertProps {
  readonly state: string;
  readonly isFiltered: boolean;
  readonly onClear: () => void;
}

export function NoAlert({ state, isFiltered, onClear }: NoAlertProps) {
  if (isFiltered)
    return (
      <EmptyState
        icon={BellRing}
        title="No alert matches"
        text="Change the search or the labels."
        action={<Button onClick={onClear}>Clear filters</Button>}
      />
    );
  if (state !== "firing") return <EmptyState icon={BellRing} title={`No alert is ${state}`} />;
  return (
    <EmptyState
      icon={BellRing}
      title="No alert is firing"
      text="Prometheus, rules, heartbeats and programs open alerts. For Prometheus, name Prism as its Alertmanager; or try one:"
      command={`amtool --alertmanager.url=${location.origin}/alertmanager alert add alertname=Test severity=warning`}
    />
  );
}
