//! Each real server: started, killed, frozen, started again, with its data kept.

mod chaos;
mod cluster;
mod lifetime;
mod mariadb;
mod rabbit;
mod rabbit_cluster;
mod redis;
mod stack;
