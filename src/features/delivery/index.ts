/** The part of `delivery` that other features may use. */

export {
  ACKNOWLEDGE_HINT,
  acknowledgeLink,
  channelAcknowledgeLink,
  withoutLink,
} from "../channels/mail/acknowledge.ts";
export { BOUNCE_HEADER, type Bounce, type MailBounces, mailBounces } from "../channels/mail/bounce.ts";
export { smtpOptionsOf } from "../channels/mail/client.ts";
export { MAIL_TEST_RESULTS, testMail } from "../channels/mail/mail-test.ts";
export { OutsideHosts, SafeFetch, safeFetchOf } from "../channels/webhook/safe-fetch.ts";
export type { TlsOptions } from "./calls/connect.ts";
export {
  type Answer,
  type Attempt,
  callWithin,
  type DeliveryChannel,
  NoAnswer,
  type NotificationFacts,
  PROJECT_RECIPIENT,
  Refused,
  readRetryAfter,
  type Target,
  TargetGone,
  type TargetSource,
  Throttled,
  untilDate,
} from "./channel.ts";
export type { ReadEventAlerts } from "./deliveries.ts";
export { quietUntil } from "./deliveries.ts";
export { type DirectMail, enqueueMail } from "./mails.ts";
export { openByChannel } from "./operate/queries.ts";
export { failingWays } from "./pages/failing-ways.ts";
export {
  type AcceptedPage,
  DRILL,
  MOVED,
  MOVES_ONE_BY_ONE,
  type NewPage,
  type NotSent,
  type PageFollower,
  type PageKind,
  type PageRow,
  type Place,
} from "./pages/page.ts";
export { isDrillNotification, type PageFacts, type PersonWay, targetKey } from "./pages/people.ts";
export { type AcceptedSpan, acceptedSpans, deletePages, notAccepted, preceded } from "./pages/store.ts";
export { namesOfWays } from "./pages/way-names.ts";
