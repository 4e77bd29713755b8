# frozen_string_literal: true

require 'time'
require 'fluent/plugin/filter'

module Fluent
  module Plugin
    # What becomes of a line before it is kept. Fields that Elasticsearch has a mapping for stay at the top; all others go
    # into `extra`, so that whatever a library logs makes no new fields. Of the pod only what somebody searches by is kept.
    class EshopzLineFilter < Filter
      Fluent::Plugin.register_filter('eshopz_line', self)

      # Of the parsers before this one.
      SPENT = %w[docker stream logtag].freeze
      # The module of a path, as in modules/shared/platform/src/http/middleware.rs.
      ROOMS = {
        'users' => 'user', 'auth' => 'user',
        'products' => 'product', 'variants' => 'product', 'categories' => 'product',
        'carts' => 'cart', 'payments' => 'payment', 'orders' => 'order'
      }.freeze
      MODULES = ROOMS.values.uniq.freeze

      desc 'Fields that stay at the top'
      config_param :keep, :array, value_type: :string
      desc 'The label app.kubernetes.io/part-of of the pods whose lines are kept'
      config_param :part_of, :string
      desc 'The machine'
      config_param :node, :string

      def filter_with_time(_tag, time, record)
        pod = record.delete('kubernetes') || {}
        labels = pod['labels'] || {}
        return nil, nil if of_others?(labels)

        SPENT.each { |name| record.delete(name) }
        time = time_of(record.delete('timestamp')) || time
        line, extra = record.partition { |name, value| known?(name, value) }.map(&:to_h)
        line['extra'] = extra unless extra.empty?
        line['module'] ||= module_of(line['span'])
        line['kubernetes'] = about(pod, labels)
        [time, line.compact]
      end

      private

      # A pod that is gone cannot be asked any more. It was in a namespace of the shop, and its last lines count most.
      def of_others?(labels)
        !labels.empty? && labels['app.kubernetes.io/part-of'] != @part_of
      end

      # Where a text or a number is expected, a list or an object would have Elasticsearch refuse the line.
      def known?(name, value)
        return value.is_a?(Hash) if name == 'span'

        @keep.include?(name) && !value.is_a?(Hash) && !value.is_a?(Array)
      end

      def time_of(text)
        text && Fluent::EventTime.from_time(Time.iso8601(text))
      rescue ArgumentError, TypeError
        nil
      end

      # Of a line that code of all modules wrote while it worked for one of them, such as `request failed`.
      def module_of(span)
        _, scope, _, room = span && span['path'].to_s.split('/')
        case scope
        when 'api' then ROOMS[room]
        when 'internal' then room if MODULES.include?(room)
        end
      end

      def about(pod, labels)
        {
          'namespace_name' => pod['namespace_name'], 'pod_name' => pod['pod_name'],
          'container_name' => pod['container_name'], 'host' => @node,
          'app' => labels['app.kubernetes.io/name'], 'version' => labels['app.kubernetes.io/version']
        }.compact
      end
    end
  end
end
