import type { ReceiverPreset } from "../preset.ts";

/** CloudWatch alarms and other messages through Amazon SNS. The secret is the topic's ARN. */
const cloudwatch = {
  name: "cloudwatch",
  title: "Amazon CloudWatch (SNS)",
  group: "platforms",
  docs: "cloudwatch",
  secret: "required",
  secretTitle: "ARN of the SNS topic",
  setup: [
    "Create an SNS topic of type Standard, and enter its ARN as the receiver's secret.",
    "SNS, Subscriptions, Create: protocol HTTPS, endpoint {url}, without raw message delivery.",
    "The subscription is confirmed at once; name the topic in the alarm's actions, also for OK.",
  ],
  methods: ["POST"],
  verify: [{ scheme: "sns" }],
  hook: "sns",
  shape: [["body.Type=notification", "body.TopicArn", "body.Message"]],
  mapping: {
    let: {
      alarm: "= parsed",
      detail: "= alarm.detail",
      text: "= body.Message",
      region: "= at(split(alarm.AlarmArn, ':'), 3)",
    },
    output: "alerts",
    type: "sns.message",
    title: "= firstText(body.Subject, firstLine(text))",
    message: "= text",
    status: "event",
    time: "= body.Timestamp",
    labels: { topic: "= body.TopicArn" },
    cases: [
      {
        when: "exists(alarm.AlarmName)",
        type: "= concat('cloudwatch.', lower(alarm.NewStateValue))",
        level: "= lookup(alarm.NewStateValue, 'ALARM', 'error', 'INSUFFICIENT_DATA', 'warning')",
        title: "= concat(alarm.AlarmName, ': ', alarm.NewStateValue)",
        message: "= firstText(alarm.AlarmDescription, alarm.NewStateReason)",
        key: "= first(alarm.AlarmArn, alarm.AlarmName)",
        status: "= lookup(alarm.NewStateValue, 'ALARM', 'firing', 'OK', 'resolved', 'event')",
        startsAt: "= alarm.StateChangeTime",
        link:
          "= concat('https://console.aws.amazon.com/cloudwatch/home?region=', region, '#alarmsV2:alarm/', " +
          "alarm.AlarmName)",
        labels: {
          "*": "= pairs(alarm.Trigger.Dimensions)",
          alarm: "= alarm.AlarmName",
          account: "= alarm.AWSAccountId",
          region: "= region",
          namespace: "= alarm.Trigger.Namespace",
          metric: "= alarm.Trigger.MetricName",
        },
        annotations: { reason: "= alarm.NewStateReason" },
      },
      // EventBridge.
      {
        when: "exists(alarm['detail-type'])",
        type: "= alarm.source",
        title: "= alarm['detail-type']",
        message: "= firstText(detail.state.reason, detail.description, detail.message)",
        key: "= alarm.id",
        time: "= alarm.time",
        labels: { account: "= alarm.account", region: "= alarm.region", resource: "= alarm.resources[0]" },
      },
    ],
  },
  sample: {
    contentType: "text/plain; charset=UTF-8",
    headers: {
      "user-agent": "Amazon Simple Notification Service Agent",
      "x-amz-sns-message-type": "Notification",
      "x-amz-sns-topic-arn": "arn:aws:sns:eu-central-1:123456789012:prism",
    },
    body: {
      Type: "Notification",
      MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
      TopicArn: "arn:aws:sns:eu-central-1:123456789012:prism",
      Subject: 'ALARM: "CPU of web-1" in EU (Frankfurt)',
      Message:
        '{"AlarmName":"CPU of web-1","AlarmDescription":"CPU above 90 %","AWSAccountId":"123456789012",' +
        '"NewStateValue":"ALARM","OldStateValue":"OK","NewStateReason":"Threshold Crossed: 1 datapoint [96.2] was ' +
        'greater than the threshold (90.0).","StateChangeTime":"2026-01-31T08:00:05.123+0000",' +
        '"Region":"EU (Frankfurt)",' +
        '"AlarmArn":"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:CPU of web-1","Trigger":{"MetricName":' +
        '"CPUUtilization","Namespace":"AWS/EC2","Dimensions":[{"name":"InstanceId","value":"i-0abc"}],"Threshold":90}}',
      Timestamp: "2026-01-31T08:00:05.456Z",
      SignatureVersion: "1",
      Signature: "",
      SigningCertURL: "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0000.pem",
      UnsubscribeURL: "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
    },
  },
} as const satisfies ReceiverPreset;

/** Stripe's webhook endpoints. */
const stripe = {
  name: "stripe",
  title: "Stripe",
  group: "platforms",
  docs: "stripe",
  secret: "required",
  secretTitle: "Signing secret (whsec_…) of the endpoint",
  setup: [
    "Developers, Webhooks, Add destination: Webhook endpoint, Endpoint URL {url}.",
    "Choose events such as charge.dispute.created, invoice.payment_failed and payout.failed.",
    "Reveal the signing secret, and enter it as the receiver's secret.",
  ],
  methods: ["POST"],
  verify: [
    {
      scheme: "hmac",
      header: "stripe-signature",
      algorithm: "sha256",
      prefix: "v1=",
      separator: ",",
      encoding: "hex",
      signed: ["{ts}", ".", "{body}"],
      timestampPrefix: "t=",
      keyForm: "text",
    },
  ],
  replayId: "= body.id",
  shape: [["body.object=event", "body.data.object", "body.type"]],
  mapping: {
    let: { object: "= body.data.object" },
    output: "events",
    type: "= concat('stripe.', body.type)",
    level:
      "= body.type in ['charge.dispute.created', 'payout.failed', 'radar.early_fraud_warning.created'] ? 'error' : " +
      "endsWith(body.type, 'failed') ? 'warning' : 'info'",
    title:
      "= concat(replace(replace(body.type, '.', ' '), '_', ' '), first(object.number, object.id) == null ? '' : " +
      "concat(': ', first(object.number, object.id)), object.customer_name == null ? '' : concat(', ', " +
      "object.customer_name), body.livemode == false ? ' (test)' : '')",
    message:
      "= firstText(object.last_payment_error.message, object.failure_message, object.reason, object.description, " +
      "object.number)",
    key: "= object.id",
    time: "= body.created",
    link: "= concat('https://dashboard.stripe.com/', body.livemode == false ? 'test/' : '', 'events/', body.id)",
    labels: {
      object: "= object.object",
      customer: "= object.customer",
      amount: "= string(first(object.amount, object.amount_due))",
      currency: "= object.currency",
      livemode: "= string(body.livemode)",
      account: "= body.account",
    },
  },
  sample: {
    headers: { "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)" },
    body: {
      id: "evt_1NG8Du2eZvKYlo2CUI79vXWy",
      object: "event",
      api_version: "2026-01-28",
      created: 1769846405,
      data: {
        object: {
          id: "in_1NG8Du2eZvKYlo2C9Yv0g1aT",
          object: "invoice",
          amount_due: 4900,
          currency: "eur",
          customer: "cus_NffrFeUfNV2Hib",
          number: "A1B2C3-0007",
        },
      },
      livemode: true,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      type: "invoice.payment_failed",
    },
  },
} as const satisfies ReceiverPreset;

export const SERVICE_PRESETS = [cloudwatch, stripe] as const;
