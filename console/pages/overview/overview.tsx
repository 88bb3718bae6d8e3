import { Page } from "../../ui/index.ts";

export default function Overview() {
  return (
    <Page title="Overview" subtitle="What needs attention, and how much happens.">
      {null}
    </Page>
  );
}
