import type { ReceiverTest } from "../../../src/client/api-types.gen.ts";
import { Banner, Code, plural, UserText } from "../../ui/index.ts";
import { RESULTS } from "./connect-types.ts";

const WOULD = {
  accepted: "It would be stored",
  unmapped: "The mapping finds nothing",
  ignored: "It would be left out",
};

export function Outcome({ tested: { result, ignored, problem, events, alerts } }: { readonly tested: ReceiverTest }) {
  const counts = [
    plural(events.length, "event"),
    plural(alerts.length, "alert"),
    ...(ignored > 0 ? [`${ignored} left out`] : []),
  ];
  return (
    <>
      <Banner tone={problem === null ? RESULTS[result].tone : "bad"} title={WOULD[result]}>
        <UserText>{[counts.join(", "), ...(problem === null ? [] : [problem])].join(". ")}</UserText>
      </Banner>
      {alerts.length > 0 && <Code label="Alerts" value={alerts} depth={3} />}
      {events.length > 0 && <Code label="Events" value={events} depth={3} />}
    </>
  );
}
