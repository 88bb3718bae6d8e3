import type { AuditVerification } from "../../../src/client/api-types.gen.ts";
import { Banner, formatNumber } from "../../ui/index.ts";

interface Props {
  readonly result: AuditVerification;
  readonly onDismiss: () => void;
}

/** Whether the chain of hashes is whole. */
export function VerifyResult({ result, onDismiss }: Props) {
  const { ok, checked, firstBad, truncated } = result;
  const count = formatNumber(checked);
  if (ok) {
    return (
      <Banner tone="ok" title="The chain is unbroken" onDismiss={onDismiss}>
        {`${count} entries were checked.`}
      </Banner>
    );
  }
  const what = firstBad ? `Entry ${firstBad.seq} does not match its hash.` : "";
  return (
    <Banner tone="bad" title="The chain is broken" onDismiss={onDismiss}>
      {`${what} ${truncated ? "Entries are missing at its end. " : ""}${count} entries were checked.`}
    </Banner>
  );
}
