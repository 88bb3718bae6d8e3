import { basicOf, show, smsParts } from "../support/services.ts";
import { type Reply, type Seen, type Service, type StandInRequest, unescapeHtml } from "../support/stand-in.ts";

const ACCOUNT = "AC0123456789abcdef0123456789abcdef";
const TOKEN = "0123456789secret0123456789abcdef";
const TO = "+4930123456";

function failed(status: number, code: number, message: string): Reply {
  return { status, body: { status, code, message, more_info: `https://www.twilio.com/docs/errors/${code}` } };
}

function refusal(request: StandInRequest, resource: string): Reply | null {
  if (basicOf(request) !== `${ACCOUNT}:${TOKEN}`) return failed(401, 20_003, "Authenticate");
  if (request.path !== `/2010-04-01/Accounts/${ACCOUNT}/${resource}.json`) return failed(404, 20_404, "Not found");
  if (request.form.get("To") !== TO) return failed(400, 21_211, "The 'To' number is not a valid phone number");
  return null;
}

export function twilioMessages(): Service {
  return {
    preset: "twilio-sms",
    fields: (base) => ({ account: ACCOUNT, token: TOKEN, from: "+15017122661", to: TO, api: base }),
    secrets: [TOKEN],
    answer(request: StandInRequest, seen: Seen[]): Reply {
      const refused = refusal(request, "Messages");
      if (refused) return refused;
      if (request.form.get("From") !== "+15017122661") return failed(400, 21_606, "The 'From' number is not valid");
      const text = request.form.get("Body") ?? "";
      if (text === "") return failed(400, 21_602, "Message body is required");
      if (text.length > 1600)
        return failed(400, 21_617, "The concatenated message body exceeds the 1600 character limit");
      // Not a limit of the service, but what Prism promises about costs.
      if (smsParts(text) > 3) return failed(400, 0, `the message has ${smsParts(text)} parts`);
      show(seen, { id: `SM${seen.length + 1}`, text });
      return { status: 201, body: { sid: `SM${seen.length}`, status: "queued" } };
    },
  };
}

const TWIML = /^<Response><Pause length="1"\/><Say language="en-US" loop="2">([^<>]+)<\/Say><\/Response>$/s;

export function twilioCalls(): Service {
  return {
    preset: "twilio-voice",
    fields: (base) => ({ account: ACCOUNT, token: TOKEN, from: "+15017122661", to: TO, api: base }),
    secrets: [TOKEN],
    answer(request: StandInRequest, seen: Seen[]): Reply {
      const refused = refusal(request, "Calls");
      if (refused) return refused;
      const twiml = request.form.get("Twiml") ?? "";
      if (twiml.length > 4000) return failed(400, 21_218, "Twiml is too long");
      const [, spoken] = TWIML.exec(twiml) ?? [];
      if (spoken === undefined || /&(?!(?:lt|gt|amp|quot|#39);)/.test(spoken))
        return failed(400, 12_100, "Document parse failure");
      show(seen, { id: `CA${seen.length + 1}`, text: unescapeHtml(spoken) });
      return { status: 201, body: { sid: `CA${seen.length}`, status: "queued" } };
    },
  };
}
