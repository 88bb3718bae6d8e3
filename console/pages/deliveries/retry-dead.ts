import { api } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { confirm, plural, toast } from "../../ui/index.ts";

interface Filter {
  readonly channel: string;
  readonly from: string;
  readonly notification: string;
  readonly webhook: string;
}

/** Counts the failed deliveries of the filter, asks, and retries them. */
export async function retryDead({ channel, from, notification, webhook }: Filter): Promise<void> {
  const filter = {
    ...(channel === "" ? {} : { channel: [channel] }),
    ...(from === "" ? {} : { from }),
    ...(notification === "" ? {} : { notificationId: notification }),
    ...(webhook === "" ? {} : { webhookId: webhook }),
  };
  const { matched } = await api.post<{ matched: number }>("/deliveries/retry", { filter, dryRun: true });
  if (matched === 0) return toast.info("No delivery of this selection has failed.");
  const title = `Retry ${plural(matched, "failed delivery", "failed deliveries")}?`;
  const text = "Recipients may get old notifications now.";
  if (!(await confirm({ title, text, action: `Retry ${matched}` }))) return;
  const { retried } = await api.post<{ retried: number }>("/deliveries/retry", { filter });
  toast.ok(`${plural(retried, "delivery is", "deliveries are")} attempted again.`);
  invalidate("/deliveries", "/attention");
}
