// A program against the generated TypeScript client: it compiles, and its planted errors do not.
import { client } from "./client/client.gen";
import {
  createWebhook,
  listCourses,
  recordAttempt,
  type OnExerciseAnsweredWebhookPayload,
  type ValidationProblem,
} from "./client";

client.setConfig({ baseUrl: "https://api.talktiko.com", auth: () => "tlk_…" });

export async function main(): Promise<string> {
  const courses = await listCourses({ query: { language: "de", level: "A1" } });
  const total: number | null | undefined = courses.data?.meta.total;

  const hook = await createWebhook({
    body: { url: "https://hooks.example.org/talktiko", events: ["lesson.*"] },
    headers: { "Idempotency-Key": "one" },
  });
  if (hook.error) {
    const problem: ValidationProblem | { detail: string } = hook.error;
    return problem.detail;
  }
  const secret: string = hook.data.data.secret;

  const answered = await recordAttempt({
    path: { item: "itm_01M895G01K9KEFCACRY5T3662G" },
    body: { answer: ["um", "mit", "zu"], duration_ms: 4200 },
  });
  const result: "correct" | "near_miss" | "partial" | "incorrect" | undefined =
    answered.data?.data.attempt.result;

  // @ts-expect-error: there is no such level
  await listCourses({ query: { level: "A7" } });
  // @ts-expect-error: a webhook needs events
  await createWebhook({ body: { url: "https://hooks.example.org/talktiko" } });
  // @ts-expect-error: an attempt needs its item
  await recordAttempt({ body: { answer: "a", duration_ms: 1 } });

  return `${total} ${secret} ${result}`;
}

export function on(event: OnExerciseAnsweredWebhookPayload): number {
  // @ts-expect-error: there is no such field
  event.data.learner_name;
  return event.data.score;
}
