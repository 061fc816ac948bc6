//! What operators' commands ask and order, as JSON over HTTP. An error is `{"error": "…"}`, in words for an operator.

use std::any::Any;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use paddock_messages::ids::ServerId;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::guard::{Asked, Guard, Owner};
use super::move_leader::Mover;
use super::status::Status;

/// The bytes of an order, at most.
const LONGEST_ORDER: usize = 4_096;

/// What `/api/…` answers from. Clones share it.
#[derive(Clone)]
pub struct Api {
    /// What the member knows; called on the server's thread, and may block it.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// Judges who may order something.
    pub guard: Guard,
    /// Moves the lead; none of a server alone.
    pub mover: Option<Arc<Mover>>,
}

/// `POST /api/leader`: have another lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveOrder {
    /// Who is to; without, whoever is the most caught up.
    #[serde(default)]
    pub to: Option<u64>,
}

#[derive(Serialize)]
struct Failure {
    error: String,
}

/// None of a connection that came over TCP, or of whom the system does not tell.
pub(super) fn owner(connection: &dyn Any) -> Option<Owner> {
    let stream = connection.downcast_ref::<UnixStream>()?;
    let known = stream.peer_cred().ok()?;
    Some(Owner { uid: known.uid(), pid: known.pid().unwrap_or_default() }) // 0: of another namespace
}

/// Each path.
pub(super) fn routes(routes: &mut web::ServiceConfig, api: Api) {
    let look = Arc::clone(&api.status);
    let status = move || {
        let status = look();
        async move { HttpResponse::Ok().json(status) }
    };
    let leader = move |request: HttpRequest, body: web::Bytes| {
        let api = api.clone();
        async move { move_leader(&api, &request, &body).await }
    };
    routes.app_data(web::PayloadConfig::new(LONGEST_ORDER));
    routes.route("/api/status", web::get().to(status));
    routes.service(
        web::resource("/api/leader")
            .route(web::post().to(leader))
            .default_service(web::to(|| async { failure(405, "an order is a POST".into()) })),
    );
}

fn failure(status: u16, error: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(Failure { error })
}

async fn move_leader(api: &Api, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    let who = match api.guard.judge(&asked(request)) {
        Ok(who) => who,
        Err(refused) => return failure(refused.status(), refused.to_string()),
    };
    let order: MoveOrder = match serde_json::from_slice(body) {
        Ok(order) => order,
        Err(error) => return failure(400, format!("this is no such order: {error}")),
    };
    let Some(mover) = &api.mover else {
        return failure(409, "this server is alone: there is nobody else to lead".to_owned());
    };
    tracing::info!(%who, to = order.to, "order: the lead is to be another's");
    match mover.move_leader(order.to.map(ServerId)).await {
        Ok(moved) => {
            tracing::info!(%who, leader = moved.leader, epoch = moved.epoch, "the lead is another's, as ordered");
            HttpResponse::Ok().json(moved)
        }
        Err(why) => {
            tracing::warn!(%who, why, "the lead was not moved as ordered");
            failure(409, why)
        }
    }
}

fn asked(request: &HttpRequest) -> Asked<'_> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    Asked {
        owner: request.conn_data::<Owner>().copied(),
        remote: request.peer_addr().map(|from| from.ip().to_canonical()),
        host: header("host"),
        origin: header("origin"),
        content_type: header("content-type"),
        authorization: header("authorization"),
    }
}
