// Where the dispatcher, or a queue service, delivers messages. Any status but a 2xx asks for another delivery.
import { getWorker } from "../../../lib/worker.js";

export async function POST(request) {
  const { WORKER_SECRET } = process.env;
  const authorised = WORKER_SECRET && request.headers.get("authorization") === `Bearer ${WORKER_SECRET}`;
  if (!authorised) return Response.json({ error: "This route is for the dispatcher" }, { status: 401 });

  await getWorker().handle(await request.json());
  return new Response(null, { status: 204 });
}
