//! What once went wrong in ZooKeeper's ensembles, and how each is kept from going wrong here: one row a line
//! of compat zab, 12. `tests/tidy.rs` sees to it that no issue is without a row, and that what a row names
//! exists.

use EnsembleFault as Fault;
use Kept::{Found, Impossible};

use super::ensemble::EnsembleFault;
pub use our_own::OUR_OWN;
pub use row::{Bug, Kept};
use row::{bug, unnumbered};

mod our_own;
mod row;

/// A peer that takes nothing costs its own lane.
const SLOW_PEERS: &[&str] = &[
    "pl4_a_receiver_that_is_slow_stops_the_reading_and_then_the_lane",
    "pl4_what_waits_behind_a_stream_is_bounded",
];

/// In the order of compat zab, 12.
pub const BUGS: &[Bug] = &[
    bug(
        &[2845],
        "a member stands for election, and is synchronised, with all that its log has",
        &[Found(&[Fault::ForgetLogged])],
    ),
    bug(
        &[3104],
        "NEWLEADER stands behind all that synchronisation brings",
        &[
            Found(&[Fault::NewLeaderFirst]),
            Impossible {
                because: "NEWLEADER names the txn before it, and a learner that has another last leaves",
                tests: &[
                    "z2_newleader_stands_behind_all_that_is_proposed_meanwhile",
                    "z7_a_leader_that_leaves_something_out_or_cuts_what_is_committed_is_left",
                ],
            },
        ],
    ),
    bug(
        &[3911, 4643, 4646, 4785],
        "first the txns are durable, then the epoch, then NEWLEADER is acknowledged",
        &[
            Found(&[Fault::AckNewLeaderEarly]),
            Impossible {
                because: "each is asked for when the one before is told to be durable",
                tests: &["z6_newleader_is_acknowledged_once_all_before_it_is_durable_and_then_the_epoch"],
            },
        ],
    ),
    bug(
        &[4394, 4925],
        "a txn goes one way into log and memory, whenever it comes, and each follows the one before",
        &[Impossible {
            because: "before and behind NEWLEADER proposals are the same packets, checked by the same lines",
            tests: &[
                "z6_no_txn_is_acked_before_newleader_and_none_is_lost",
                "z2_what_a_learner_lacks_is_cut_out_of_the_batches",
                "z7_a_leader_that_leaves_something_out_or_cuts_what_is_committed_is_left",
                "l5_a_gap_in_the_proposals_stops_the_node",
            ],
        }],
    ),
    bug(
        &[4712],
        "a role has ended, and its log is at rest, before the next begins",
        &[Found(&[Fault::LookWithoutDrain])],
    ),
    bug(
        &[2872, 3642],
        "a leader's snapshot counts once it is whole and durable, and is nothing before",
        &[
            Found(&[Fault::SnapshotUnsynced]),
            Impossible {
                because: "it is installed behind its last piece, and a file that ends too early does \
                          not load",
                tests: &[
                    "z6_z7_a_snapshot_replaces_all_at_once",
                    "s20_every_beginning_of_a_file_is_cut_short",
                ],
            },
        ],
    ),
    bug(
        &[3701],
        "the first failure of the log ends the process, and nothing it had in hand is acknowledged",
        &[Impossible {
            because: "a failed Logger is dead: it takes nothing more",
            tests: &[
                "s1_after_a_failed_sync_nothing_more_is_taken",
                "a_failed_sync_ends_the_thread_and_acknowledges_nothing",
                "a_failed_write_or_sync_ends_the_server_and_is_not_retried",
                "what_a_failed_sync_was_to_make_durable_is_not_acknowledged",
            ],
        }],
    ),
    bug(
        &[2325, 3056, 3644, 3781],
        "what is missing is no empty database, and who has lost its data does not vote",
        &[
            Impossible {
                because: "history names every file that must be there, and an empty directory begins \
                          one only where that is wanted",
                tests: &[
                    "an_empty_directory_begins_a_history_only_where_that_is_wanted",
                    "a_missing_snapshot_matters_only_if_the_log_begins_later",
                    "snapshots_that_are_gone_and_not_in_the_log_stop_the_start",
                    "el4_without_a_vote_a_leader_is_joined_and_none_elected",
                ],
            },
            Found(&[Fault::CountAmnesiac]),
        ],
    ),
    bug(
        &[3231],
        "a snapshot that cannot be loaded is not one of those that a purge keeps",
        &[Impossible {
            because: "a start forgets it before anything is purged",
            tests: &[
                "zookeeper_3231_a_snapshot_that_was_forgotten_is_none_of_those_kept",
                "every_state_of_a_data_directory_has_its_outcome",
            ],
        }],
    ),
    bug(
        &[2307, 4269],
        "both epochs change in one step, and a crash leaves them as before or as after",
        &[Impossible {
            because: "they stand in one file, which is replaced whole",
            tests: &[
                "s1_s2_s4_s5_s8_s10_hold_whatever_the_disk_does",
                "is_read_back_and_every_prefix_and_flipped_bit_is_refused",
                "s9_an_epoch_does_not_go_back",
            ],
        }],
    ),
    bug(
        &[582],
        "a new epoch is above all that are known: accepted, current, logged, and the peers'",
        &[Impossible {
            because: "an epoch is the next after the greatest of them",
            tests: &["z1_an_epoch_is_above_each_that_is_known", "q1_the_epoch_is_higher_than_any_seen"],
        }],
    ),
    bug(
        &[1732, 1805, 1818],
        "who comes back joins by leader and epoch, whatever zxid and round the others remember",
        &[Impossible {
            because: "votes of members that have a leader are compared by these two, and told anew \
                      with its epoch",
            tests: &[
                "zookeeper_1732_and_1805_a_rejoiner_finds_the_leader_whatever_zxid_and_round_the_others_remember",
                "el3_following_or_leading_in_another_round_it_is_joined_if_a_quorum_has_it",
            ],
        }],
    ),
    bug(
        &[3109],
        "an elected leader that nobody follows gives up soon, and joins the others",
        &[Impossible {
            because: "discovery may take two peer timeouts, whatever initLimit is",
            tests: &[
                "zookeeper_3109_an_elected_leader_without_followers_joins_the_others_when_it_looks_again",
                "q3_a_reign_that_does_not_come_about_in_time_ends",
            ],
        }],
    ),
    bug(
        &[2959],
        "only voters' epochs and acks count",
        &[
            Found(&[Fault::CountObservers]),
            Impossible {
                because: "a quorum asks its voters alone",
                tests: &[
                    "z1_an_epoch_is_above_all_that_a_quorum_of_voters_accepted_and_told_once_durable",
                    "z3_acks_count_of_voters_that_have_acknowledged_newleader",
                ],
            },
        ],
    ),
    bug(
        &[2819, 2212, 1324, 1783],
        "the members are data: txns alone change them, and the later zxid wins",
        &[Impossible {
            because: "a configuration comes from the log, or from another member's that is committed and later",
            tests: &[
                "mb1_both_decide_from_the_log_on_until_it_is_known_to_be_committed",
                "mb1_the_txn_holds_both_configurations",
                "mb4_what_others_have_committed_is_committed",
            ],
        }],
    ),
    bug(
        &[2355],
        "a session ends with all it owns, in one txn",
        &[Impossible {
            because: "the txn lists its ephemerals, and a snapshot is of one zxid: none has the one \
                      without the other",
            tests: &[
                "tx3_a_session_ends_once_with_all_it_owns",
                "t1_t2_t3_t4_t5_t7_the_tree_is_the_model",
                "s21_a_file_written_while_the_tree_changes_is_of_one_zxid",
            ],
        }],
    ),
    bug(
        &[3144, 3127],
        "the last zxid moves behind the whole of its txn",
        &[Impossible {
            because: "a txn is applied under one guard, and a walk begins between two",
            tests: &[
                "f1_feeds_are_filled_in_order_before_a_reader_sees_the_tree",
                "t8_t9_a_walk_yields_the_tree_at_which_it_began",
            ],
        }],
    ),
    bug(
        &[3125, 3145],
        "what is replayed over a later tree changes nothing",
        &[Impossible {
            because: "a txn names the znodes it deletes and the values it sets, and snapshots are of \
                      one zxid",
            tests: &[
                "t6_the_end_of_a_history_again_changes_nothing",
                "t6_txns_that_find_another_tree_are_refused_and_change_little",
                "t8_t9_a_walk_yields_the_tree_at_which_it_began",
            ],
        }],
    ),
    bug(
        &[3306],
        "a snapshot's ACLs are those of its znodes",
        &[Impossible {
            because: "the table is copied when a walk begins, and no number gets another meaning until \
                      it ends",
            tests: &[
                "t8_t9_a_walk_yields_the_tree_at_which_it_began",
                "t12_a_copy_shares_chunks_and_stays_what_it_was",
            ],
        }],
    ),
    bug(
        &[3531, 4858],
        "a snapshot holds up nobody",
        &[Impossible {
            because: "it is walked in small steps, each under its own guard",
            tests: &[
                "t10_a_step_copies_little_however_large_the_znodes_and_whatever_waits",
                "t10_a_walk_begins_without_a_visit_to_each_session_and_acl",
            ],
        }],
    ),
    bug(
        &[2678],
        "a synchronisation takes no snapshot that is not needed, and as long as it gets on it is \
         waited for",
        &[
            Impossible {
                because: "the Snapshotter counts what was logged; a learner has no word for a snapshot \
                          of its own",
                tests: &["n2_between_half_and_all_of_the_count_or_size"],
            },
            Impossible {
                because: "it is late only if nothing of it has come, or gone, for so long",
                tests: &["q3_a_synchronisation_that_goes_on_is_not_late_however_long_it_takes"],
            },
        ],
    ),
    bug(
        &[2418],
        "between the log and what is broadcast no txn is left \
                  out",
        &[Found(&[Fault::LeaveGap])],
    ),
    bug(
        &[1277],
        "an epoch ends before its counter does",
        &[Impossible {
            because: "a zxid has no next behind the last counter, and the Proposer asks for an epoch \
                      before",
            tests: &[
                "orders_by_epoch_then_counter_and_never_wraps",
                "p6_p7_requests_wait_for_the_next_epoch",
                "p8_an_epoch_is_asked_for_once_and_again_when_a_full_disk_refused_it",
            ],
        }],
    ),
    bug(
        &[2201, 4537],
        "no learner, however slow, holds up the leader: its queue ends, and then its link",
        &[
            Impossible {
                because: "what leads and proposes does no I/O and holds no lock",
                tests: &["cores_are_pure", "mail_goes_through_the_meters"],
            },
            Impossible {
                because: "what waits for a learner is bounded: over it, its lane is closed",
                tests: SLOW_PEERS,
            },
        ],
    ),
    bug(
        &[1863],
        "a session is answered in the order of its requests, come what may",
        &[Impossible {
            because: "each session has one queue, and its reads stand behind its writes in it",
            tests: &[
                "c1_pipelined_requests_come_to_what_they_come_to_one_by_one",
                "l3_a_read_between_two_writes_is_executed_between_them",
                "o2_a_read_between_two_writes_sees_the_first_and_not_the_second",
            ],
        }],
    ),
    bug(
        &[4799, 4475],
        "who may not read is told no event, and nobody is told one twice",
        &[Impossible {
            because: "events are filtered where they are delivered, and one change asks each watcher \
                      once",
            tests: &[
                "events_go_only_to_those_who_may_read",
                "set_watches_tells_only_those_who_may_read",
                "v1_v2_each_is_told_once_and_a_standard_watch_once_for_all",
            ],
        }],
    ),
    bug(
        &[2623],
        "a check stands in a multi and nowhere else",
        &[Impossible {
            because: "alone it is no request",
            tests: &["requests_that_are_refused_or_answered_at_once"],
        }],
    ),
    bug(
        &[1576, 2982],
        "a peer's name is resolved at each attempt, and one that cannot be costs that attempt",
        &[Impossible {
            because: "no address outlives the attempt that it was looked up for",
            tests: &[
                "a_member_whose_name_comes_to_mean_another_address_is_found_there_by_those_that_run",
                "a_name_that_cannot_be_resolved_stops_nobody_else_and_is_told",
            ],
        }],
    ),
    bug(
        &[3756, 3398, 2164],
        "dead peers are dialled beside the others, and not for long",
        &[Impossible {
            because: "each link dials for itself, and gives each attempt a second",
            tests: &[
                "a_leader_is_dialled_until_it_is_shut",
                "pl6_a_silent_ctl_lane_is_closed_and_dialled_again",
            ],
        }],
    ),
    bug(
        &[3769, 4787],
        "whatever a peer sends costs its connection at most",
        &[
            Impossible {
                because: "a notification is numbers, none beyond what election can take, and the reader of \
                          frames refuses what it cannot read",
                tests: &[
                    "zookeeper_3769_and_4787_no_notification_stops_who_receives_it",
                    "el8_no_round_overflows_and_none_is_taken_from_far_ahead",
                    "fr2_no_bytes_make_the_reader_panic",
                    "fr3_every_flipped_bit_is_refused",
                ],
            },
            Impossible {
                because: "what is refused closes its own lane",
                tests: &[
                    "pl3_what_a_peer_may_not_say_ends_its_lane_once",
                    "pl1_strangers_disturb_no_lane",
                    "strangers_at_the_members_ports_disturb_nobody",
                ],
            },
        ],
    ),
    bug(
        &[3537, 1732],
        "an established leader stays, whatever one that comes back says",
        &[Impossible {
            because: "a member that has a role keeps it and its round, and answers",
            tests: &[
                "zookeeper_3537_a_rejoiner_with_a_greater_vote_and_round_does_not_disturb_the_leader",
                "el5_a_rejoiner_finds_the_leader_and_disturbs_nobody",
            ],
        }],
    ),
    bug(
        &[3829, 2865, 1699],
        "without reconfig the file says who the members are, with it the later version does, and both \
         quorums count",
        &[
            Found(&[Fault::CountOldAlone]),
            Impossible {
                because: "a member that starts goes by the log's configuration, or does not start",
                tests: &["the_file_is_true_until_a_reconfig_is_committed_and_the_log_from_then_on"],
            },
        ],
    ),
    bug(
        &[2029, 2247, 3084, 3320, 4203],
        "what a member cannot do without ends the process when it ends, and an end is not taken back",
        &[
            Impossible {
                because: "the guardian watches every actor, and who has ended does nothing more",
                tests: &[
                    "the_guardian_ends_a_node_whose_core_actor_is_stalled_or_gone",
                    "r3_a_panic_ends_the_process_or_the_actor_alone",
                    "after_a_fatal_report_the_actor_does_nothing_more",
                    "recorded_endings_keep_their_order",
                ],
            },
            Impossible {
                because: "what accepts other members is a task whose end ends the process",
                tests: &["a_task_that_must_not_end_takes_the_process_with_it"],
            },
        ],
    ),
    bug(
        &[4541, 5010],
        "the tree has what the log has and is committed; what is cut from the log is gone from memory",
        &[
            Found(&[Fault::ForgetTruncate, Fault::KeepOldLog]),
            Impossible {
                because: "the tree is given committed txns alone, and a cut takes what waits to be",
                tests: &[
                    "l2_only_what_is_committed_is_applied",
                    "l2_what_is_cut_from_the_log_is_not_applied",
                ],
            },
        ],
    ),
    unnumbered(
        "clock jumps",
        "no wait is measured by the calendar, which is for times that clients see and for the age of \
         znodes",
        &[Impossible {
            because: "deadlines are of a monotonic clock; the Proposer's actor, an operator's screen \
                      and the first number of a session alone ask for the calendar",
            tests: &[
                "the_calendar_is_asked_for_times_that_are_seen_and_for_nothing_else",
                "a_manual_clock_moves_only_when_told",
                "e3_a_stall_moves_every_deadline_by_its_own_length",
            ],
        }],
    ),
    bug(
        &[3598, 2380, 2687],
        "what is stopped is stopped in its order, and nobody waits for who waits for him",
        &[
            Impossible {
                because: "actors share no lock but the tree's, and an end is mail",
                tests: &[
                    "a_server_stopped_under_load_ends_in_time_and_has_everything_it_acknowledged",
                    "a_server_stopped_while_its_disk_does_not_answer_ends_in_time_too",
                ],
            },
            Impossible {
                because: "a role ends by mail, and what is about an older one reaches nobody",
                tests: &["a_leader_frozen_and_thawed_follows_the_next_and_has_acknowledged_nothing_false"],
            },
        ],
    ),
    bug(
        &[3575, 3774, 3574],
        "a learner never waits for its socket, neither to write nor to close",
        &[Impossible { because: "a lane has a task and a queue of its own", tests: SLOW_PEERS }],
    ),
    bug(
        &[1675, 2136],
        "a sync is answered once a quorum has confirmed the lead behind it",
        &[Found(&[Fault::ConfirmUnasked])],
    ),
    unnumbered(
        "what the TLA+ specification found",
        "proposals go to every voter that has NEWLEADER, and UPTODATE says what is committed by then",
        &[Impossible {
            because: "a voter joins the broadcast with its NEWLEADER, UPTODATE bears the commit point, and \
                      nothing is sent twice",
            tests: &[
                "z2_newleader_stands_behind_all_that_is_proposed_meanwhile",
                "z2_uptodate_comes_behind_a_quorums_ack_of_newleader",
                "z2_what_a_learner_lacks_is_cut_out_of_the_batches",
            ],
        }],
    ),
];
