//! What operators' commands ask and order, as JSON over HTTP. An error is `{"error": "…"}`, in words for an operator.

use std::any::Any;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use paddock_messages::ids::ServerId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::guard::{Asked, Guard, Owner, Who};
use super::members::{ChangeOrder, Changer};
use super::move_leader::Mover;
use super::status::Status;

/// The bytes of an order, at most.
const LONGEST_ORDER: usize = 4_096;
/// The same of one that may name all members.
const LONGEST_CHANGE: usize = 64 << 10;

/// What `/api/…` answers from. Clones share it.
#[derive(Clone)]
pub struct Api {
    /// What the member knows; called on the server's thread, and may block it.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// Judges who may order something.
    pub guard: Guard,
    /// Moves the lead; none of a server alone.
    pub mover: Option<Arc<Mover>>,
    /// Changes the members.
    pub changer: Arc<Changer>,
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
    /// What a client would be told, if it is the leader who refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
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
    let (of_leader, of_members, in_force) = (api.clone(), api.clone(), api);
    let leader = move |request: HttpRequest, body: web::Bytes| {
        let api = of_leader.clone();
        async move { move_leader(&api, &request, &body).await }
    };
    let change = move |request: HttpRequest, body: web::Bytes| {
        let api = of_members.clone();
        async move { change_members(&api, &request, &body).await }
    };
    let members = move || {
        let members = in_force.changer.in_force();
        async move { HttpResponse::Ok().json(members) }
    };
    routes.app_data(web::PayloadConfig::new(LONGEST_ORDER));
    routes.route("/api/status", web::get().to(status));
    routes.service(
        web::resource("/api/leader")
            .route(web::post().to(leader))
            .default_service(web::to(|| async { failure(405, "an order is a POST".into()) })),
    );
    routes.service(
        web::resource("/api/members")
            .app_data(web::PayloadConfig::new(LONGEST_CHANGE))
            .route(web::get().to(members))
            .route(web::post().to(change))
            .default_service(web::to(|| async { failure(405, "an order is a POST".into()) })),
    );
}

fn failure(status: u16, error: String) -> HttpResponse {
    failed(status, Failure { error, code: None })
}

fn failed(status: u16, failure: Failure) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(failure)
}

/// What is ordered, and by whom, if that may be (AD9); else HTTP's number for why not, and that in words.
fn order<T: DeserializeOwned>(
    api: &Api,
    request: &HttpRequest,
    body: &[u8],
) -> Result<(Who, T), (u16, String)> {
    let who = api.guard.judge(&asked(request));
    let who = who.map_err(|refused| (refused.status(), refused.to_string()))?;
    let order = serde_json::from_slice(body);
    order.map(|order| (who, order)).map_err(|error| (400, format!("this is no such order: {error}")))
}

async fn change_members(api: &Api, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    let (who, order) = match order::<ChangeOrder>(api, request, body) {
        Ok(ordered) => ordered,
        Err((status, why)) => return failure(status, why),
    };
    let ChangeOrder { join, leave, members, version, force } = &order;
    tracing::info!(%who, join, leave, members, version, force, "order: the members are to be others");
    match api.changer.change(&order).await {
        Ok(configuration) => {
            let (version, members) = (&configuration.version, configuration.members.join(", "));
            tracing::info!(%who, version, members, "the members are others, as ordered");
            HttpResponse::Ok().json(configuration)
        }
        Err(why) => {
            let error = why.to_string();
            tracing::warn!(%who, why = error, "the members were not changed as ordered");
            failed(why.status(), Failure { error, code: why.code() })
        }
    }
}

async fn move_leader(api: &Api, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    let (who, order) = match order::<MoveOrder>(api, request, body) {
        Ok(ordered) => ordered,
        Err((status, why)) => return failure(status, why),
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
